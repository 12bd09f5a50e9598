//! URLs as OCPI uses them: opaque, joined with exactly one slash, compared by origin.

/// Joins an endpoint with path segments, each percent-encoded.
pub fn join(base: &str, segments: &[&str]) -> String {
    let mut url = base.trim_end_matches('/').to_owned();
    for segment in segments {
        url.push('/');
        url.push_str(&encode(segment));
    }
    url
}

/// Percent-encodes what is not unreserved (RFC 3986 §2.3).
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The text behind percent signs; what is malformed stays as it is.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digit = |offset: usize| {
            bytes.get(at + offset).and_then(|digit| char::from(*digit).to_digit(16))
        };
        match (byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Scheme, host and port in lower case; none if it is no http(s) URL.
pub fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let usual = match scheme.as_str() {
        "http" => "80",
        "https" => "443",
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].to_ascii_lowercase();
    if host.is_empty() || host.contains('@') || host.contains(char::is_whitespace) {
        return None;
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| {
        !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit())
    });
    Some(if has_port { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{usual}") })
}

/// Path segments without empty ones, decoded, and the query as pairs.
pub fn split(target: &str) -> (Vec<String>, Vec<(String, String)>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let segments = path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect();
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(&value.replace('+', "%20")))
    };
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect();
    (segments, query)
}

/// The target of `Link: <…>; rel="next"`; none on the last page.
pub fn next_link(header: &str) -> Option<String> {
    header.split(',').find_map(|part| {
        let (url, parameters) = part.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.to_ascii_lowercase().replace([' ', '"', '\''], "");
        (is_next.contains("rel=next") && !url.is_empty()).then(|| url.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_joined_with_one_slash_and_encoded() {
        assert_eq!(
            join("https://a.example/x/", &["NL", "a b/c"]),
            "https://a.example/x/NL/a%20b%2Fc"
        );
        let (segments, query) = split("//ocpi//2.2.1/tokens/a%20b/?type=RFID&x=1%2B1");
        assert_eq!(segments, ["ocpi", "2.2.1", "tokens", "a b"]);
        assert_eq!(query[1], ("x".to_owned(), "1+1".to_owned()));
        assert_eq!(decode("100%"), "100%");
    }

    #[test]
    fn origins_are_compared_with_their_port() {
        assert_eq!(origin("https://A.example/x"), origin("https://a.example:443/y?z"));
        assert_ne!(origin("https://a.example"), origin("http://a.example"));
        assert_eq!(origin("file:///etc/passwd"), None);
        assert_eq!(origin("https://user@a.example"), None);
    }

    #[test]
    fn an_empty_link_ends_the_pages() {
        let link = "<https://a.example/cdrs?offset=50&limit=50>; rel=\"next\"";
        assert_eq!(next_link(link).unwrap(), "https://a.example/cdrs?offset=50&limit=50");
        assert_eq!(next_link(""), None);
        assert_eq!(next_link("<https://a.example/>; rel=\"prev\""), None);
    }
}
