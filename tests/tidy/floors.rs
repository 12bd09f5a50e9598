//! Rule: imports point downward only. The floors are those of ARCHITECTURE.md.

use std::collections::BTreeMap;

use super::source::{Source, by_module, children, imports};

/// Every module at the top of `src/` with its floor; a file may import lower floors and its own
/// folder, never another folder of its floor.
const FLOORS: &[(&str, u8)] = &[
    ("ground", 1),
    ("model", 2),
    ("config", 3),
    ("control", 3),
    ("ocpp", 3),
    ("meter", 3),
    ("plan", 3),
    ("forecast", 3),
    ("learn", 3),
    ("ocpi", 3),
    ("update", 3),
    ("controller", 4),
    ("io", 5),
    ("publish", 5),
    ("store", 5),
    ("ui", 5),
    ("twin", 5),
    ("daemon", 6),
    ("simulate", 6),
    ("desk", 7),
    ("upkeep", 7),
    ("announce", 7),
    ("updater", 7),
    ("serve", 8),
    ("uplink", 8),
    ("run", 9),
    ("demo", 9),
    ("double", 9),
    ("cli", 9),
    ("keyring", 10),
];

/// Above every floor: `lib.rs` and `main.rs`.
const ROOF: u8 = 11;

fn floor(top: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == top).map(|(_, floor)| *floor)
}

/// Imports that point upward or sideways, and folders that have no floor.
pub fn check(sources: &[Source]) -> Vec<String> {
    let modules = by_module(sources);
    let mut faults = Vec::new();
    for source in sources {
        let own = source.module();
        let Some(top) = own.first() else { continue };
        let Some(here) = floor(top) else {
            faults.push(format!("{}: `{top}` has no floor in tests/tidy/floors.rs", source.path));
            continue;
        };
        for import in imports(source, &children(source, &modules)) {
            let Some(target) = import.path.first() else { continue };
            if target == top {
                continue;
            }
            let there = if modules.contains_key(&import.path[..1]) {
                floor(target).unwrap_or(ROOF)
            } else {
                ROOF
            };
            if here <= there {
                let path = import.path.join("::");
                faults.push(format!(
                    "{}:{}: floor {here} may not import `{path}` of floor {there}",
                    source.path, import.line
                ));
            }
        }
    }
    faults
}

/// Files of the product that import each other in a circle. A type in the `mod.rs` of a folder
/// whose methods stand in the files beside it is no circle: each file knows its own folder.
pub fn cycles(sources: &[Source]) -> Vec<String> {
    let modules = by_module(sources);
    let mut edges: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (from, source) in sources.iter().enumerate() {
        for import in imports(source, &children(source, &modules)) {
            if import.test {
                continue;
            }
            let prefixes = (1..=import.path.len()).rev();
            let hit = prefixes.filter_map(|end| modules.get(&import.path[..end])).next();
            match hit {
                Some(to) if *to != from && !is_own_folder(source, &sources[*to]) => {
                    edges.entry(from).or_default().push(*to)
                }
                _ => {}
            }
        }
    }
    let mut faults = Vec::new();
    let mut done = vec![false; sources.len()];
    for start in 0..sources.len() {
        let mut trail = Vec::new();
        if let Some(circle) = circle(start, &edges, &mut done, &mut trail) {
            let names: Vec<&str> = circle.iter().map(|at| sources[*at].path.as_str()).collect();
            faults.push(format!("these files import each other: {}", names.join(" -> ")));
        }
    }
    faults
}

/// Whether `to` is the `mod.rs` of the folder that `from` stands in.
fn is_own_folder(from: &Source, to: &Source) -> bool {
    let folder = from.path.rsplit_once('/').map(|(folder, _)| folder);
    to.path.strip_suffix("/mod.rs").is_some_and(|own| Some(own) == folder)
}

fn circle(
    at: usize,
    edges: &BTreeMap<usize, Vec<usize>>,
    done: &mut [bool],
    trail: &mut Vec<usize>,
) -> Option<Vec<usize>> {
    if let Some(begin) = trail.iter().position(|seen| *seen == at) {
        let mut found = trail[begin..].to_vec();
        found.push(at);
        return Some(found);
    }
    if done[at] {
        return None;
    }
    trail.push(at);
    let next = edges.get(&at).into_iter().flatten();
    let mut found = None;
    for to in next {
        found = found.or_else(|| circle(*to, edges, done, trail));
    }
    trail.pop();
    done[at] = true;
    found
}

#[cfg(test)]
fn house(files: &[(&str, &str)]) -> Vec<Source> {
    files.iter().map(|(path, text)| Source::new(path, text)).collect()
}

#[test]
fn imports_upward_and_sideways_are_caught() {
    let up = house(&[("src/control/a.rs", "use crate::io::clock;"), ("src/io/clock.rs", "")]);
    assert_eq!(check(&up).len(), 1, "from floor 3 to floor 5");
    let side = [("src/control/a.rs", "use super::super::ocpp::b::C;"), ("src/ocpp/b.rs", "")];
    assert_eq!(check(&house(&side)).len(), 1, "between folders of floor 3");
    let inline = [("src/ground/a.rs", "fn f() { crate::model::g() }"), ("src/model/mod.rs", "")];
    assert_eq!(check(&house(&inline)).len(), 1, "a path inside a function");
    assert_eq!(check(&house(&[("src/attic.rs", "")])).len(), 1, "a module without a floor");
}

#[test]
fn imports_downward_and_inside_a_folder_are_fine() {
    let files = [
        ("src/control/a.rs", "use super::b::C; use crate::model::D; // crate::io\n"),
        ("src/control/b.rs", "const TEXT: &str = \"crate::ui::x\";"),
        ("src/model/mod.rs", ""),
    ];
    assert_eq!(check(&house(&files)), Vec::<String>::new());
}

#[test]
fn circles_are_caught_and_test_code_makes_none() {
    let files = [
        ("src/control/mod.rs", "pub mod a; fn f() { a::g() }"),
        ("src/control/a.rs", "use super::b::H; use super::Thing;"),
        ("src/control/b.rs", "use super::a::G;"),
    ];
    let found = cycles(&house(&files));
    assert_eq!(found.len(), 1, "{found:?}");
    let tests = [
        ("src/control/a.rs", "#[cfg(test)] mod tests { use crate::control::b::H; }"),
        ("src/control/b.rs", "use super::a::G;"),
    ];
    assert_eq!(cycles(&house(&tests)), Vec::<String>::new());
}
