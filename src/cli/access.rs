//! What a command shows to the daemon: the token of this machine, or a user's name and password;
//! and which certificate it trusts.
//!
//! The token is sent to no other address than the one that stands beside it in its file.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use data_encoding::BASE64;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::io::authority::Authority;
use crate::io::local::{self, LocalDoor};
use crate::io::terminal;

/// Where data is when nobody says so: of the package, of `run` and of `demo` beside the person.
const DATA: [&str; 3] = ["/var/lib/ampgate", "./ampgate-data", "./ampgate-demo"];

/// The password of the user in `--user`.
const PASSWORD: &str = "AMPGATE_PASSWORD";

/// Doors of daemons on this machine, as far as their files can be read.
#[derive(Debug, Default)]
pub struct Doors {
    found: Vec<(PathBuf, LocalDoor)>,
    /// The first of them is the one that is meant, whatever its address.
    named: bool,
    unread: Vec<String>,
}

/// Looks for doors in the data directory, or in the usual ones.
pub fn doors(data: Option<&Path>) -> Doors {
    let places: Vec<PathBuf> = match data {
        Some(data) => vec![data.to_owned()],
        None => DATA.iter().map(PathBuf::from).collect(),
    };
    let mut doors = Doors { named: data.is_some(), ..Doors::default() };
    for place in places {
        match LocalDoor::read(&place) {
            Ok(Some(door)) => doors.found.push((place, door)),
            Ok(None) if doors.named => {
                doors.unread.push(format!("{} is not there", local::place(&place).display()));
            }
            Ok(None) => {}
            Err(error) => {
                doors.unread.push(format!("{}: {error}", local::place(&place).display()));
            }
        }
    }
    doors
}

impl Doors {
    /// Where the daemon is that is meant when nobody says where: the one whose data directory was
    /// named, else the one of the package.
    pub fn usual(&self) -> Option<&str> {
        let (place, door) = self.found.first()?;
        (self.named || place == Path::new(DATA[0])).then_some(door.url.as_str())
    }

    /// The first that was found.
    pub fn any(&self) -> Option<&str> {
        self.found.first().map(|(_, door)| door.url.as_str())
    }

    /// The token for this address; none where no file has one for it.
    pub fn token(&self, url: &str) -> Option<&str> {
        let wanted = loopback(url)?;
        let fits = |(_, door): &&(PathBuf, LocalDoor)| loopback(&door.url) == Some(wanted);
        self.found.iter().find(fits).map(|(_, door)| door.token.as_str())
    }

    /// What could not be read, with a colon before it; empty for nothing.
    pub fn hint(&self) -> String {
        let unread = self.unread.join(", ");
        if unread.is_empty() { unread } else { format!(": {unread}") }
    }
}

/// The port of an address on loopback without TLS; none for any other.
fn loopback(url: &str) -> Option<u16> {
    let authority = url.strip_prefix("http://")?.split('/').next()?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, 80),
    };
    let number = host.trim_start_matches('[').trim_end_matches(']');
    let address = number.parse::<std::net::IpAddr>();
    let here = host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.is_loopback());
    here.then_some(port)
}

/// What a user shows: name and password.
///
/// # Errors
/// There is no password, in words.
pub fn basic(name: &str) -> Result<String, String> {
    let password = match std::env::var_os(PASSWORD) {
        Some(password) => password.into_string().map_err(|_| format!("{PASSWORD} is no UTF-8"))?,
        None => asked(name)?,
    };
    Ok(format!("Basic {}", BASE64.encode(format!("{name}:{password}").as_bytes())))
}

/// What the person typed; asked once, though a command may ask the daemon several things.
fn asked(name: &str) -> Result<String, String> {
    static TYPED: OnceLock<String> = OnceLock::new();
    if let Some(typed) = TYPED.get() {
        return Ok(typed.clone());
    }
    let typed = terminal::ask(&format!("Password of {name}: ")).map_err(|error| {
        format!("the password of {name} cannot be asked for ({error}); set {PASSWORD}")
    })?;
    Ok(TYPED.get_or_init(|| typed).clone())
}

/// Which roots are trusted: those of the file, else the one of the site's own authority where its
/// data directory can be read; none = those that browsers trust.
///
/// # Errors
/// The file is none, in words.
pub fn root(file: Option<&Path>, data: Option<&Path>) -> Result<Option<TlsConfig>, String> {
    let data = data.unwrap_or(Path::new(DATA[0]));
    let own = Authority::in_data(data).root();
    let (place, pem) = match file {
        Some(file) => {
            let pem = std::fs::read(file);
            (file, pem.map_err(|error| format!("{}: {error}", file.display()))?)
        }
        None => match std::fs::read(&own) {
            Ok(pem) => (own.as_path(), pem),
            Err(_) => return Ok(None),
        },
    };
    let roots = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(root)) => Some(root),
        _ => None,
    });
    let roots: Vec<Certificate<'static>> = roots.collect();
    if roots.is_empty() {
        return Err(format!("{}: no certificate in it; expected roots, PEM", place.display()));
    }
    Ok(Some(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).build()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_its_own_address_on_loopback_alone() {
        let folder = tempfile::tempdir().unwrap();
        LocalDoor::fresh("http://127.0.0.1:8080".to_owned()).keep(folder.path()).unwrap();
        let doors = doors(Some(folder.path()));
        for url in ["http://127.0.0.1:8080", "http://localhost:8080/", "http://[::1]:8080"] {
            assert!(doors.token(url).is_some(), "{url}");
        }
        for url in [
            "http://127.0.0.1:8081",
            "http://127.0.0.1",
            "https://127.0.0.1:8080",
            "http://10.0.0.1:8080",
            "http://127.0.0.1.a.example:8080",
            "http://a.example:8080",
        ] {
            assert!(doors.token(url).is_none(), "{url}");
        }
        assert_eq!(doors.usual(), Some("http://127.0.0.1:8080"));
        assert_eq!(doors.hint(), "");
        let empty = super::doors(Some(Path::new("/nowhere")));
        assert_eq!(empty.usual(), None);
        assert_eq!(empty.hint(), ": /nowhere/admin.token is not there");
    }
}
