//! The static index: a small JSON document on any HTTPS server that names bundles.
//!
//! ```json
//! {"bundles": [{"version": "1.4.0", "compatible": "ampgate-cm4", "url": "ampgate-1.4.0.raucb",
//!   "sha256": "…", "size_bytes": 104857600}]}
//! ```
//! A `url` without `https://` is beside the index. What the index says is only a hint to what is
//! worth a download: the bundle's signature decides.

use serde::Deserialize;

use super::Offer;
use super::state::Source;
use super::version::Version;

/// An index is no longer than this.
pub const BYTES_MAX: u64 = 1 << 20;

/// Bundles of an index; more are cut off.
const BUNDLES_MAX: usize = 1000;

#[derive(Deserialize)]
struct Index {
    bundles: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    version: String,
    compatible: String,
    url: String,
    sha256: Option<String>,
    size_bytes: Option<u64>,
}

/// The newest bundle for this hardware.
///
/// # Errors
/// The document is no index, in words.
pub fn newest(text: &str, index_url: &str, compatible: &str) -> Result<Option<Offer>, String> {
    let index: Index = serde_json::from_str(text)
        .map_err(|error| format!("what is at {index_url} is no index of bundles: {error}"))?;
    let ours = index.bundles.into_iter().take(BUNDLES_MAX);
    let ours = ours.filter(|entry| entry.compatible == compatible);
    let ordered = ours.filter_map(|entry| Some((Version::parse(&entry.version)?, entry)));
    let newest = ordered.max_by(|one, other| one.0.cmp(&other.0));
    Ok(newest.map(|(_, entry)| Offer {
        source: Source::Index,
        url: beside(index_url, &entry.url),
        version: Some(entry.version),
        sha256: entry.sha256.map(|sum| sum.to_ascii_lowercase()),
        size_bytes: entry.size_bytes,
    }))
}

/// The address of `url`, which may be relative to the index.
fn beside(index_url: &str, url: &str) -> String {
    if url.contains("://") {
        return url.to_owned();
    }
    let base = index_url.split(['?', '#']).next().unwrap_or_default();
    let host_ends = base.find("://").map_or(0, |at| at + 3);
    let host_ends = base[host_ends..].find('/').map_or(base.len(), |at| host_ends + at);
    if url.starts_with('/') {
        return format!("{}{url}", &base[..host_ends]);
    }
    match base.rfind('/').filter(|at| host_ends <= *at) {
        Some(at) => format!("{}/{url}", &base[..at]),
        None => format!("{base}/{url}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_bundle_of_the_own_hardware_counts() {
        let text = r#"{"made_by": "ci", "bundles": [
            {"version": "1.9.0", "compatible": "box", "url": "a.raucb", "sha256": "AB"},
            {"version": "1.10.0", "compatible": "box", "url": "/b.raucb", "size_bytes": 7},
            {"version": "odd", "compatible": "box", "url": "c.raucb"},
            {"version": "3.0.0", "compatible": "other", "url": "d.raucb"}]}"#;
        let found = newest(text, "https://x.example/site/index.json", "box").unwrap().unwrap();
        assert_eq!(found.url, "https://x.example/b.raucb");
        assert_eq!((found.version.as_deref(), found.size_bytes), (Some("1.10.0"), Some(7)));
        assert_eq!(newest(text, "https://x.example/index.json", "none").unwrap(), None);
        assert!(newest("<html>", "https://x.example", "box").unwrap_err().contains("no index"));
    }

    #[test]
    fn addresses_are_beside_the_index() {
        let of = |url| beside("https://x.example/site/index.json?v=1", url);
        assert_eq!(of("a.raucb"), "https://x.example/site/a.raucb");
        assert_eq!(of("/a.raucb"), "https://x.example/a.raucb");
        assert_eq!(of("https://y.example/a"), "https://y.example/a");
        assert_eq!(beside("https://x.example", "a"), "https://x.example/a");
    }
}
