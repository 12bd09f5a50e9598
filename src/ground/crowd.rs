//! How many connections an address holds at a door, so that none takes the places of all others.
//!
//! Invariants: nobody holds more than its most, all together not more than there are places; a
//! place is free again the moment its connection is gone. What is to be told of it is bounded,
//! however many are turned away. Whoever has an IPv6 network has all of its addresses, so a /64
//! counts as one.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::time::{Duration, Instant};

/// That a door is crowded is told at most this often.
const TELL_EVERY: Duration = Duration::minutes(10);

/// The places at a door; cheap to clone.
#[derive(Clone, Debug)]
pub struct Crowd(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    all: usize,
    of_one: usize,
    /// Bounded by the places: who holds none is not in it.
    held: BTreeMap<IpAddr, usize>,
    taken: usize,
    told: Option<Instant>,
    untold: u64,
}

/// A place; dropping it gives it back.
#[derive(Debug)]
pub struct Place {
    crowd: Crowd,
    whose: IpAddr,
}

/// There is no place. What people should know of it; not every time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full(pub Option<String>);

impl Crowd {
    /// So many places in all, and so many for one address.
    pub fn new(all: usize, of_one: usize) -> Self {
        let (held, told) = (BTreeMap::new(), None);
        Self(Arc::new(Mutex::new(Inner { all, of_one, held, taken: 0, told, untold: 0 })))
    }

    /// A place for a connection from there.
    ///
    /// # Errors
    /// The address holds its most, or all places are taken.
    pub fn enter(&self, from: IpAddr, now: Instant) -> Result<Place, Full> {
        let whose = neighbourhood(from);
        let mut inner = self.lock();
        let own = inner.held.get(&whose).copied().unwrap_or_default();
        if inner.of_one <= own || inner.all <= inner.taken {
            return Err(inner.full(from, own, now));
        }
        inner.held.insert(whose, own + 1);
        inner.taken += 1;
        drop(inner);
        Ok(Place { crowd: self.clone(), whose })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change under the lock is whole, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn full(&mut self, from: IpAddr, own: usize, now: Instant) -> Full {
        if self.told.is_some_and(|told| now.since(told) < TELL_EVERY) {
            self.untold += 1;
            return Full(None);
        }
        let before = match std::mem::take(&mut self.untold) {
            0 => String::new(),
            many => format!("; {many} more were turned away since it was last told"),
        };
        self.told = Some(now);
        let whose = if self.of_one <= own {
            format!("{from} holds {own} connections, which is the most for one address")
        } else {
            format!("all {} connections are taken, and {from} wants one more", self.taken)
        };
        Full(Some(format!("{whose}: more are turned away, others are served{before}")))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.crowd.lock();
        inner.taken = inner.taken.saturating_sub(1);
        let left = inner.held.get(&self.whose).copied().unwrap_or_default().saturating_sub(1);
        match left {
            0 => inner.held.remove(&self.whose),
            _ => inner.held.insert(self.whose, left),
        };
    }
}

/// What counts as one address.
fn neighbourhood(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::START;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_that_takes_all_it_can_leaves_places_for_others() {
        let crowd = Crowd::new(8, 4);
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let mut held: Vec<Place> = (0..4).map(|_| crowd.enter(one, NOW).expect("free")).collect();
        let full = crowd.enter(one, NOW).expect_err("its most");
        let told = full.0.expect("the first is told");
        assert!(told.starts_with("192.0.2.1 holds 4 connections"), "{told}");
        let others: Vec<Place> = (0..4).map(|_| crowd.enter(other, NOW).expect("free")).collect();
        assert!(crowd.enter(address("192.0.2.3"), NOW).is_err(), "all are taken");
        drop(others);
        held.pop();
        assert!(crowd.enter(one, NOW).is_ok(), "a place that was left is free");
        drop(held);
        let inner = crowd.lock();
        assert_eq!((inner.taken, inner.held.len()), (0, 0));
    }

    #[test]
    fn it_is_told_at_a_bounded_rate_with_how_many_were_turned_away() {
        let crowd = Crowd::new(8, 1);
        let one = address("192.0.2.1");
        let _held = crowd.enter(one, NOW).expect("free");
        let told = |seconds| {
            let Full(told) = crowd.enter(one, NOW + Duration::seconds(seconds)).expect_err("full");
            told
        };
        assert!(told(0).is_some());
        assert_eq!((1..600).filter_map(told).count(), 0);
        assert!(told(600).is_some_and(|words| words.contains("599 more were turned away")));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_and_ipv4_is_itself_in_either_form() {
        let crowd = Crowd::new(8, 1);
        let enter = |text| crowd.enter(address(text), NOW);
        let _one = enter("2001:db8::1").expect("free");
        assert!(enter("2001:db8::2").is_err() && enter("2001:db8:0:1::1").is_ok());
        let _four = enter("192.0.2.1").expect("free");
        assert!(enter("::ffff:192.0.2.1").is_err());
    }
}
