//! How many requests one address may make: a bucket for each that fills steadily.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::ground::time::Instant;

/// Requests of one address each second, for long.
const PER_SECOND: f64 = 100.0;

/// Requests of one address in a moment: a partner that catches up on a month of CDRs, page by page.
const AT_ONCE: f64 = 1000.0;

/// Addresses that are remembered; those that have been quiet for longest go first.
const ADDRESSES_MAX: usize = 1000;

/// The buckets.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    known: BTreeMap<IpAddr, (f64, Instant)>,
}

impl Pace {
    /// Whether a request of this address may be looked at.
    pub fn allows(&mut self, from: IpAddr, now: Instant) -> bool {
        if ADDRESSES_MAX <= self.known.len() && !self.known.contains_key(&from) {
            let quiet = self.known.iter().min_by_key(|(_, (_, at))| *at).map(|(who, _)| *who);
            quiet.map(|who| self.known.remove(&who));
        }
        let (left, at) = self.known.entry(from).or_insert((AT_ONCE, now));
        let seconds = now.since(*at).as_millis().max(0) as f64 / 1000.0;
        *left = (*left + seconds * PER_SECOND).min(AT_ONCE);
        *at = now;
        let allowed = 1.0 <= *left;
        if allowed {
            *left -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::time::Duration;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn an_address_that_asks_without_end_waits_and_holds_up_nobody_else() {
        let mut pace = Pace::default();
        let now = Instant::START;
        let allowed = (0..5000).filter(|_| pace.allows(address(1), now)).count();
        assert_eq!(allowed, 1000);
        assert!(pace.allows(address(2), now));
        let later = now + Duration::seconds(2);
        let allowed = (0..5000).filter(|_| pace.allows(address(1), later)).count();
        assert_eq!(allowed, 200);
    }

    #[test]
    fn addresses_are_not_remembered_without_end() {
        let mut pace = Pace::default();
        for number in 0..3000_u32 {
            let from = IpAddr::from(std::net::Ipv4Addr::from(number));
            assert!(pace.allows(from, Instant::from_millis(i64::from(number))));
        }
        assert_eq!(pace.known.len(), ADDRESSES_MAX);
    }
}
