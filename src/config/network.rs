//! What chargers have to show and from where, as the daemon needs it; and a network of addresses as
//! it is written: `10.20.0.0/24`, or one address alone.

use std::net::IpAddr;
use std::path::PathBuf;

/// What chargers have to show, and what they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// Certificate of this box; none = the one of the site's own authority.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// Roots of the certificates of chargers; none = the site's own authority.
    pub client_roots: Option<PathBuf>,
    /// Networks whose chargers may connect without a password.
    pub open_networks: Vec<OpenNetwork>,
}

/// What a listener shows inside TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Certificate, followed by what is between it and its root, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// The page for other machines: inside TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OuterPage {
    /// What it shows; none = what chargers are shown.
    pub shown: Option<Shown>,
    /// Names of the box beside those in the certificate, in small letters.
    pub names: Vec<String>,
}

/// A network whose chargers may connect without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenNetwork {
    /// What people call it.
    pub name: String,
    /// Its addresses.
    pub network: Network,
}

/// All addresses with the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `ADDRESS/BITS` or `ADDRESS`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().ok()?;
        let all = width(address);
        let bits = bits.unwrap_or(all);
        (bits <= all).then_some(Self { address, bits })
    }

    /// Whether every address is in it.
    pub fn is_everything(&self) -> bool {
        self.bits == 0
    }

    /// Whether an address is in it. IPv4 that came in over an IPv6 socket counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if width(address) != width(self.address) {
            return false;
        }
        let shift = width(address) - self.bits;
        let cut = |address: IpAddr| number(address).checked_shr(shift).unwrap_or(0);
        cut(address) == cut(self.address)
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_with_its_first_bits() {
        let holds = |network: &str, address: &str| {
            let network = Network::parse(network).expect("a network");
            network.contains(address.parse().expect("an address"))
        };
        assert!(holds("10.20.0.0/24", "10.20.0.77"));
        assert!(!holds("10.20.0.0/24", "10.20.1.1"));
        assert!(holds("10.20.0.9", "10.20.0.9") && !holds("10.20.0.9", "10.20.0.8"));
        assert!(holds("0.0.0.0/0", "9.9.9.9") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(holds("fd00::/8", "fd12::1") && !holds("fd00::/8", "fe80::1"));
        assert!(holds("::/0", "fe80::1"));
    }

    #[test]
    fn what_is_no_network_is_none() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/x", "garage"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
