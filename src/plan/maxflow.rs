//! Maximum flow into one place after another: what was sent is led elsewhere, never taken back.
//!
//! Dinic's method, searched backwards from the target. What a search could not leave is dead: no
//! later path leads through it, until more is offered at the source.

/// Less than this is no flow.
const NOTHING: f64 = 1e-9;

/// Nodes and arcs with what may still flow. Each arc has its reverse beside it (`arc ^ 1`).
#[derive(Clone, Debug, Default)]
pub struct Network {
    arcs_of: Vec<Vec<usize>>,
    to: Vec<usize>,
    left: Vec<f64>,
    dead: Vec<bool>,
    /// Search in which a node was last seen, and how far from the target.
    seen: Vec<(u32, u32)>,
    next: Vec<usize>,
    search: u32,
    /// Arcs that may still be looked at.
    looks: usize,
}

impl Network {
    /// With so many nodes; node 0 is the source. When `looks` arcs were looked at, nothing more is
    /// sent, however much could flow: one costs some nanoseconds.
    pub fn new(nodes: usize, looks: usize) -> Self {
        let mut network = Self { looks, ..Self::default() };
        for _ in 0..nodes {
            network.node();
        }
        network
    }

    /// One more node.
    pub fn node(&mut self) -> usize {
        self.arcs_of.push(Vec::new());
        self.dead.push(false);
        self.seen.push((0, 0));
        self.next.push(0);
        self.arcs_of.len() - 1
    }

    /// One more arc.
    pub fn arc(&mut self, from: usize, to: usize, most: f64) -> usize {
        let arc = self.to.len();
        self.to.extend([to, from]);
        self.left.extend([most, 0.0]);
        self.arcs_of[from].push(arc);
        self.arcs_of[to].push(arc + 1);
        arc
    }

    /// Lets more through an arc.
    pub fn widen(&mut self, arc: usize, more: f64) {
        self.left[arc] += more;
    }

    /// What flows through an arc.
    pub fn flow(&self, arc: usize) -> f64 {
        self.left[arc ^ 1]
    }

    /// Everything may be searched again; for after the source has more to offer.
    pub fn revive(&mut self) {
        self.dead.fill(false);
    }

    /// Sends up to `most` more from the source into `target`; returns how much went. What was sent
    /// is a flow also when the search was broken off for its length.
    pub fn send(&mut self, target: usize, most: f64) -> f64 {
        let mut sent = 0.0;
        while NOTHING < most - sent && !self.dead[target] && 0 < self.looks {
            if !self.reaches(target) {
                break;
            }
            let more = self.push(target, most - sent);
            if more <= NOTHING {
                break;
            }
            sent += more;
        }
        sent
    }

    /// Finds how far each node is from the target; whether the source is among them.
    fn reaches(&mut self, target: usize) -> bool {
        self.search += 1;
        self.seen[target] = (self.search, 0);
        self.next[target] = 0;
        let mut queue = vec![target];
        let mut at = 0;
        let mut found = false;
        while let Some(node) = queue.get(at).copied() {
            at += 1;
            let far = self.seen[node].1 + 1;
            self.looks = self.looks.saturating_sub(self.arcs_of[node].len());
            for arc in &self.arcs_of[node] {
                let from = self.to[*arc];
                let open = NOTHING < self.left[arc ^ 1] && !self.dead[from];
                if open && self.seen[from].0 != self.search {
                    self.seen[from] = (self.search, far);
                    self.next[from] = 0;
                    queue.push(from);
                    found = found || from == 0;
                }
            }
            if found {
                return true;
            }
        }
        for node in queue {
            self.dead[node] = true;
        }
        false
    }

    /// Sends along shortest ways only, as much as goes.
    fn push(&mut self, node: usize, most: f64) -> f64 {
        if node == 0 {
            return most;
        }
        let mut sent = 0.0;
        while self.next[node] < self.arcs_of[node].len() {
            self.looks = self.looks.saturating_sub(1);
            let arc = self.arcs_of[node][self.next[node]];
            let from = self.to[arc];
            let nearer = self.seen[from] == (self.search, self.seen[node].1 + 1);
            if nearer && NOTHING < self.left[arc ^ 1] && !self.dead[from] {
                let more = self.push(from, (most - sent).min(self.left[arc ^ 1]));
                self.left[arc ^ 1] -= more;
                self.left[arc] += more;
                sent += more;
                if most - sent <= NOTHING {
                    return sent;
                }
            }
            self.next[node] += 1;
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_led_elsewhere() {
        // Source 0, cars 1 and 2, hours 3 and 4. Car 1 may use both hours, car 2 only the first.
        let mut network = Network::new(5, 1000);
        let first = network.arc(0, 1, 5.0);
        network.arc(0, 2, 5.0);
        network.arc(1, 3, 9.0);
        let moved = network.arc(1, 4, 9.0);
        let only = network.arc(2, 3, 9.0);
        assert_eq!(network.send(3, 5.0), 5.0);
        assert_eq!(network.send(4, 9.0), 5.0, "both cars are served now");
        assert_eq!((network.flow(first), network.flow(moved), network.flow(only)), (5.0, 5.0, 5.0));
        assert_eq!(network.send(3, 1.0), 0.0, "nobody wants more");
        network.widen(first, 1.0);
        network.revive();
        assert_eq!(network.send(3, 1.0), 1.0);
    }

    #[test]
    fn the_work_is_bounded_and_what_was_sent_stays() {
        let chain = |looks: usize| {
            let mut network = Network::new(4, looks);
            let first = network.arc(0, 1, 5.0);
            network.arc(1, 2, 5.0);
            network.arc(2, 3, 5.0);
            let sent = [network.send(3, 2.0), network.send(3, 3.0)];
            (sent, network.flow(first))
        };
        assert_eq!(chain(1000), ([2.0, 3.0], 5.0));
        assert_eq!(chain(1), ([2.0, 0.0], 2.0));
        assert_eq!(chain(0), ([0.0, 0.0], 0.0));
    }
}
