//! Downloads of bundles: large files over lines that break. What is here already is not fetched a
//! second time, as long as the server says that the file is the same (ETag, Last-Modified) or the
//! sum of the whole was announced.
//!
//! Blocking; for a thread of its own. A download leaves `NAME.part` and `NAME.part.same` behind
//! until it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256, digest};
use ureq::Agent;
use ureq::http::{Response, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::update::Fault;

use super::platform::Resources;

/// A server that says nothing for this long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// See [`SILENCE_MAX`]; for names and connections.
const CONNECT_TIME: Duration = Duration::from_secs(30);
/// So many redirects are followed.
const REDIRECTS_MAX: u32 = 5;
/// A line that breaks so often in one download is left for later.
const CUTS_MAX: u32 = 50;
/// Bytes at a time.
const PIECE: usize = 64 * 1024;
/// Stays free on the disk: the store goes on writing.
const SPACE_KEPT: u64 = 64 << 20;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where it is.
    pub url: String,
    /// What it must have, in lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// How large it is.
    pub size_bytes: Option<u64>,
    /// It is no larger.
    pub size_max_bytes: u64,
    /// Value of the header `Authorization`.
    pub authorization: Option<String>,
}

/// Between a download and whoever waits for it.
#[derive(Debug, Default)]
pub struct Line {
    /// It is not wanted any more.
    pub stop: AtomicBool,
    /// How far it is.
    pub percent: AtomicU8,
}

/// An HTTP client for servers of updates.
///
/// # Errors
/// The roots cannot be read, in words.
pub fn agent(ca_file: Option<&Path>) -> Result<Agent, String> {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(REDIRECTS_MAX)
        .proxy(None)
        .timeout_connect(Some(CONNECT_TIME))
        .timeout_recv_response(Some(SILENCE_MAX))
        .timeout_per_read(Some(SILENCE_MAX))
        .user_agent(concat!("ampgate/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = ca_file {
        let place = file.display();
        let pem = fs::read(file).map_err(|error| format!("{place}: {error}"))?;
        let roots: Vec<Certificate<'static>> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(root)) => Some(root),
                _ => None,
            })
            .collect();
        if roots.is_empty() {
            return Err(format!("{place}: no certificate in it; expected roots, PEM"));
        }
        let roots = RootCerts::new_with_certs(&roots);
        config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
    }
    Ok(config.build().into())
}

/// Downloads into `folder`; the file, whole.
///
/// # Errors
/// It cannot be had, for ever or at this moment.
pub fn fetch(agent: &Agent, folder: &Path, wanted: &Wanted, line: &Line) -> Result<PathBuf, Fault> {
    let name = HEXLOWER.encode(&digest(&SHA256, wanted.url.as_bytes()).as_ref()[..8]);
    let whole = folder.join(format!("bundle-{name}.raucb"));
    let part = folder.join(format!("bundle-{name}.part"));
    let disk = |error: io::Error| Fault::Trouble(format!("{}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(disk)?;
    if !whole.exists() {
        let mut cuts = 0;
        while let Some(why) = go_on(agent, &part, wanted, line)? {
            cuts += 1;
            if CUTS_MAX < cuts {
                return Err(Fault::Trouble(why));
            }
        }
        fs::rename(&part, &whole).map_err(disk)?;
        let _ = fs::remove_file(same(&part));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk)?;
    }
    let found = sum(&whole).map_err(disk)?;
    match &wanted.sha256 {
        Some(announced) if *announced != found => {
            let _ = fs::remove_file(&whole);
            let why = format!("what came has the SHA-256 {found}, announced was {announced}");
            Err(Fault::Trouble(why))
        }
        _ => Ok(whole),
    }
}

/// Deletes what earlier downloads have left.
pub fn clear(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("bundle-") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Where it is kept which version of the file a part is of.
fn same(part: &Path) -> PathBuf {
    part.with_extension("part.same")
}

/// One request. None when the file is whole; words where the line broke after it brought something.
fn go_on(
    agent: &Agent,
    part: &Path,
    wanted: &Wanted,
    line: &Line,
) -> Result<Option<String>, Fault> {
    let known = fs::read_to_string(same(part)).ok().filter(|known| !known.is_empty());
    let have = fs::metadata(part).map_or(0, |part| part.len());
    let goes_on = 0 < have && (known.is_some() || wanted.sha256.is_some());
    if goes_on && wanted.size_bytes == Some(have) {
        return Ok(None);
    }
    let mut request = agent.get(&wanted.url).config().https_only(is_secure(&wanted.url)).build();
    if let Some(authorization) = &wanted.authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    if goes_on {
        request = request.header(header::RANGE, format!("bytes={have}-"));
        if let Some(known) = &known {
            request = request.header(header::IF_RANGE, known);
        }
    }
    let response = request.call().map_err(|error| Fault::Trouble(error.to_string()))?;
    let have = match response.status().as_u16() {
        206 if goes_on => have,
        200 => 0,
        416 => {
            // What is here is not the beginning of what is there.
            let _ = fs::remove_file(part);
            return Ok(Some("the server has another file than before".to_owned()));
        }
        status @ (401 | 403) => {
            return Err(Fault::Refused(format!("the server does not let this box in ({status})")));
        }
        status @ (404 | 410) => {
            return Err(Fault::Refused(format!("there is nothing at this address ({status})")));
        }
        status => return Err(Fault::Trouble(format!("the server answers with {status}"))),
    };
    let size = length(&response).map(|rest| have.saturating_add(rest));
    check_size(part, wanted, have, size)?;
    take(part, wanted, line, response, have, size)
}

fn is_secure(url: &str) -> bool {
    url.starts_with("https://")
}

fn length(response: &Response<ureq::Body>) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn check_size(part: &Path, wanted: &Wanted, have: u64, size: Option<u64>) -> Result<(), Fault> {
    let size = size.or(wanted.size_bytes);
    if let (Some(size), Some(announced)) = (size, wanted.size_bytes)
        && size != announced
    {
        let why = format!("it has {size} bytes, announced were {announced}");
        return Err(Fault::Refused(why));
    }
    let Some(size) = size else { return Ok(()) };
    if wanted.size_max_bytes < size {
        return Err(too_large(size, wanted.size_max_bytes));
    }
    let rest = size.saturating_sub(have).saturating_add(SPACE_KEPT);
    let free = part.parent().and_then(|folder| Resources::look(folder).disk_free_bytes);
    match free {
        Some(free) if free < rest => {
            let (free, rest) = (free >> 20, rest >> 20);
            Err(Fault::Trouble(format!("the disk has {free} MiB left, {rest} MiB are needed")))
        }
        _ => Ok(()),
    }
}

fn too_large(size: u64, most: u64) -> Fault {
    let (size, most) = (size.div_ceil(1 << 20), most >> 20);
    Fault::Refused(format!("it has {size} MiB or more; update.size_max_mb allows {most}"))
}

/// Writes what comes behind what is there.
fn take(
    part: &Path,
    wanted: &Wanted,
    line: &Line,
    response: Response<ureq::Body>,
    from: u64,
    size: Option<u64>,
) -> Result<Option<String>, Fault> {
    let disk = |error: io::Error| Fault::Trouble(format!("{}: {error}", part.display()));
    let validator = [header::ETAG, header::LAST_MODIFIED];
    let validator = validator.iter().find_map(|name| response.headers().get(name)?.to_str().ok());
    // A weak one does not promise the same bytes.
    let validator = validator.filter(|text| !text.starts_with("W/")).unwrap_or_default();
    fs::write(same(part), validator).map_err(disk)?;
    let mut open = OpenOptions::new();
    open.write(true).create(true);
    let mut file = match from {
        0 => open.truncate(true).open(part).map_err(disk)?,
        _ => OpenOptions::new().append(true).open(part).map_err(disk)?,
    };
    let mut body = response.into_body().into_reader();
    let (mut have, mut piece) = (from, vec![0; PIECE]);
    let cut = loop {
        if line.stop.load(Ordering::Relaxed) {
            return Err(Fault::Trouble("it was given up".to_owned()));
        }
        let count = match body.read(&mut piece) {
            Ok(0) => break None,
            Ok(count) => count,
            Err(error) => break Some(error.to_string()),
        };
        have = have.saturating_add(count as u64);
        if wanted.size_max_bytes < have {
            return Err(too_large(have, wanted.size_max_bytes));
        }
        file.write_all(&piece[..count]).map_err(disk)?;
        if let Some(size) = size.filter(|size| 0 < *size) {
            let percent = (have.saturating_mul(100) / size).min(100);
            line.percent.store(u8::try_from(percent).unwrap_or(100), Ordering::Relaxed);
        }
    };
    file.sync_all().map_err(disk)?;
    let short = size.is_some_and(|size| have < size).then(|| "the line broke".to_owned());
    match cut.or(short) {
        None => Ok(None),
        Some(why) if from < have => Ok(Some(why)),
        Some(why) => Err(Fault::Trouble(why)),
    }
}

/// SHA-256 of a file.
fn sum(file: &Path) -> io::Result<String> {
    let (mut file, mut piece) = (File::open(file)?, vec![0; PIECE]);
    let mut context = Context::new(&SHA256);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(HEXLOWER.encode(context.finish().as_ref())),
            count => context.update(&piece[..count]),
        }
    }
}
