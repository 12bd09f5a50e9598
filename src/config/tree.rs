//! The tree of nodes as far as it can be made out: who feeds whom, and in what order.
//!
//! Says what is wrong with it (unknown parents, circles) and goes on with what is left, so that the
//! checks further on see as much of the diagram as there is.

use super::file::File;
use super::report::Report;
use super::words::{join, nearest, quoted};

/// The nodes by their place in the file.
#[derive(Debug)]
pub struct Tree {
    /// The node that feeds each node.
    pub parents: Vec<Option<usize>>,
    /// All nodes, parents before their children, else in the order of the file.
    pub order: Vec<usize>,
}

/// Place in the file of the node with this id.
pub fn find(file: &File, id: &str) -> Option<usize> {
    file.node.iter().position(|node| node.id.as_deref() == Some(id))
}

/// What to write where an unknown node is named.
pub fn known_nodes(file: &File, name: &str) -> String {
    let ids = || file.node.iter().filter_map(|node| node.id.as_deref());
    match nearest(name, ids()) {
        Some(meant) => format!("the id of a [[node]] (did you mean {}?)", quoted(meant)),
        None => {
            let known: Vec<String> = ids().take(8).map(quoted).collect();
            format!("the id of a [[node]]: {}", join(&known, "or"))
        }
    }
}

/// Links the nodes and says which links lead nowhere.
pub fn resolve(file: &File, report: &mut Report) -> Tree {
    let mut parents = Vec::with_capacity(file.node.len());
    for (index, node) in file.node.iter().enumerate() {
        let parent = node.parent.as_deref();
        let found = parent.and_then(|parent| find(file, parent));
        if let (Some(parent), None) = (parent, found) {
            let path = format!("node[{index}].parent");
            report.error(&path, quoted(parent), known_nodes(file, parent));
        }
        parents.push(found);
    }
    for index in 0..parents.len() {
        let circle = circle(&parents, index);
        if let Some(circle) = circle {
            let name = |index: &usize| file.node[*index].id.clone().unwrap_or_default();
            let names: Vec<String> = circle.iter().chain([&index]).map(name).collect();
            report.error(
                &format!("node[{index}].parent"),
                format!("a circle: {}", names.join(" fed by ")),
                "a tree: one of them is fed by none of the others",
            );
            parents[index] = None;
        }
    }
    let order = order(&parents);
    Tree { parents, order }
}

/// The nodes from `start` upwards until `start` comes again; none if it does not.
fn circle(parents: &[Option<usize>], start: usize) -> Option<Vec<usize>> {
    let mut seen = vec![start];
    let mut next = parents[start]?;
    while next != start {
        if parents.len() < seen.len() {
            return None;
        }
        seen.push(next);
        next = parents[next]?;
    }
    Some(seen)
}

fn order(parents: &[Option<usize>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(parents.len());
    let mut placed = vec![false; parents.len()];
    for index in 0..parents.len() {
        let upwards = std::iter::successors(Some(index), |index| parents[*index]);
        let mut chain: Vec<usize> = upwards.take_while(|index| !placed[*index]).collect();
        chain.reverse();
        for index in chain {
            placed[index] = true;
            order.push(index);
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first_and_the_order_of_the_file_is_kept() {
        assert_eq!(order(&[Some(2), None, Some(1), None]), [1, 2, 0, 3]);
    }

    #[test]
    fn circles_are_found_and_what_only_hangs_below_one_is_none() {
        let parents = [Some(1), Some(2), Some(1), None];
        assert_eq!(circle(&parents, 0), None);
        assert_eq!(circle(&parents, 1), Some(vec![1, 2]));
        assert_eq!(circle(&[Some(0)], 0), Some(vec![0]));
    }
}
