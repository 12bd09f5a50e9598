//! Rule: words that do not belong. Clocks, sockets, tasks, files, chance and hashing stay out of
//! the pure floors; shortcuts that panic or print stay out of the product; places on somebody's
//! machine stay out of the repository.

use super::source::{Source, Word};

/// Folders (and the one file) whose output depends on their input alone.
const PURE: [&str; 13] = [
    "ground",
    "model",
    "config",
    "control",
    "ocpp",
    "meter",
    "plan",
    "forecast",
    "learn",
    "ocpi",
    "update",
    "controller",
    "twin",
];

/// What the pure floors never name, and what to use there.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "sockets and tasks live in io/"),
    ("async", "pure code returns everything it causes"),
    ("await", "pure code returns everything it causes"),
    ("std::fs", "text comes in as an argument"),
    ("std::net", "bytes come in as inputs; address types alone are allowed"),
    ("std::thread", "one call stack, no locks"),
    ("std::process", "only main.rs ends the process"),
    ("std::env", "settings come from the configuration"),
    ("std::time", "ground::time has the types; the moment comes in as Now"),
    ("Instant::now", "the moment comes in as Now"),
    ("Timestamp::now", "the moment comes in as Now"),
    ("Zoned::now", "the moment comes in as Now"),
    ("SystemTime", "the moment comes in as Now"),
    ("HashMap", "BTreeMap: the order must not depend on the run"),
    ("HashSet", "BTreeSet: the order must not depend on the run"),
    ("RandomState", "the order must not depend on the run"),
    ("rand", "chance comes in as a seed"),
    ("getrandom", "chance comes in as a seed"),
    ("println", "say it with an Event"),
    ("eprintln", "say it with an Event"),
];

/// Types of `std::net` that hold a value and open nothing.
const ADDRESSES: [&str; 6] =
    ["SocketAddr", "SocketAddrV4", "SocketAddrV6", "IpAddr", "Ipv4Addr", "Ipv6Addr"];

/// Shortcuts that may not ship; tests may unwrap.
const SHORTCUTS: &[(&str, &str)] = &[
    (". unwrap (", "say with expect(\"…\") why it cannot fail, or handle it"),
    ("todo !", "finish it or leave it out"),
    ("unimplemented !", "finish it or leave it out"),
    ("dbg !", "log it or leave it out"),
];

/// Impure words in pure floors; test code may use them.
pub fn purity(source: &Source) -> Vec<String> {
    let top = source.module().first().cloned().unwrap_or_default();
    if !PURE.contains(&top.as_str()) {
        return Vec::new();
    }
    let words: Vec<&Word> = source.production().collect();
    let mut faults = Vec::new();
    for (name, instead) in IMPURE {
        let wanted: Vec<&str> = name.split("::").flat_map(|part| [part, "::"]).collect();
        let wanted = &wanted[..wanted.len() - 1];
        for (at, window) in words.windows(wanted.len()).enumerate() {
            let hit = window.iter().zip(wanted).all(|(word, want)| word.text == *want);
            if hit && !is_member(&words, at) && !(*name == "std::net" && only_addresses(&words, at))
            {
                let line = window[0].line;
                faults.push(format!("{}:{line}: `{name}` in a pure floor: {instead}", source.path));
            }
        }
    }
    faults
}

/// A field or a method of that name is something else.
fn is_member(words: &[&Word], at: usize) -> bool {
    0 < at && words[at - 1].text == "."
}

/// `std::net::SocketAddr` or `std::net::{IpAddr, SocketAddr}`.
fn only_addresses(words: &[&Word], at: usize) -> bool {
    let mut names = words[at + 3..].iter().map(|word| word.text.as_str());
    if names.next() != Some("::") {
        return false;
    }
    match names.next() {
        Some("{") => names
            .take_while(|name| *name != "}")
            .filter(|name| *name != ",")
            .all(|name| ADDRESSES.contains(&name)),
        Some(name) => ADDRESSES.contains(&name),
        None => false,
    }
}

/// Shortcuts in the product.
pub fn shortcuts(source: &Source) -> Vec<String> {
    let words: Vec<&Word> = source.production().collect();
    let mut faults = Vec::new();
    for (name, instead) in SHORTCUTS {
        let wanted: Vec<&str> = name.split(' ').collect();
        for window in words.windows(wanted.len()) {
            if window.iter().zip(&wanted).all(|(word, want)| word.text == *want) {
                let line = window[0].line;
                let name = wanted.concat();
                faults.push(format!("{}:{line}: `{name}`: {instead}", source.path));
            }
        }
    }
    faults
}

/// A file opens by saying what it is.
pub fn opening(source: &Source) -> Vec<String> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![format!(
        "{}:1: a file opens with `//!`: what it is, why, what it does not do",
        source.path
    )]
}

/// Public items of the product without a sentence above them. Fields and variants are told by the
/// sentence of their owner where that is enough, so `missing_docs` would ask for too much.
pub fn undocumented(source: &Source) -> Vec<String> {
    const ITEMS: [&str; 9] =
        ["fn", "const", "async", "struct", "enum", "trait", "type", "static", "union"];
    let lines: Vec<&str> = source.text.lines().collect();
    let shipped: std::collections::BTreeSet<usize> =
        source.production().map(|word| word.line).collect();
    let mut faults = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let line = line.trim_start();
        let kind = line.strip_prefix("pub ").and_then(|rest| rest.split(' ').next());
        // The two functions of a serde `with` module have their meaning from serde.
        let serde =
            line.starts_with("pub fn serialize<") || line.starts_with("pub fn deserialize<");
        let item = kind.is_some_and(|kind| ITEMS.contains(&kind));
        if !item || serde || !shipped.contains(&(index + 1)) {
            continue;
        }
        // Attributes may stand between, on several lines.
        let above = lines[..index].iter().rev().map(|line| line.trim());
        let attribute = |line: &&str| !line.is_empty() && !line.ends_with(['}', ';', '{']);
        if !above
            .take_while(attribute)
            .any(|line| line.starts_with("///") || line.starts_with("$(#"))
        {
            faults.push(format!("{}:{}: no sentence above `{line}`", source.path, index + 1));
        }
    }
    faults
}

/// Places that mean nothing on another machine: home and work folders, package registries.
pub fn places(path: &str, text: &str) -> Vec<String> {
    // Cut in two so that this file does not name them itself.
    const PLACES: [&str; 9] = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("crates", ".io"),
        concat!("pypi", ".org"),
        concat!("pythonhosted", ".org"),
        concat!("npmjs", ".org"),
        concat!("deb.debian", ".org"),
        concat!("index", "-url"),
    ];
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for place in PLACES {
            if line.contains(place) {
                let line = index + 1;
                faults.push(format!("{path}:{line}: `{place}` is a place of one machine"));
            }
        }
    }
    faults
}

#[cfg(test)]
fn impure(code: &str) -> usize {
    purity(&Source::new("src/control/a.rs", code)).len()
}

#[test]
fn impure_words_are_caught() {
    for (name, _) in IMPURE {
        assert_eq!(impure(&format!("fn f() {{ let x = {name}; }}")), 1, "{name}");
    }
    assert_eq!(impure("use std::net::{SocketAddr, TcpStream};"), 1);
    assert_eq!(purity(&Source::new("src/io/clock.rs", "use std::time::Instant;")).len(), 0);
}

#[test]
fn comments_tests_and_addresses_are_not_impure() {
    assert_eq!(impure("// tokio\nconst A: &str = \"async\";"), 0);
    assert_eq!(impure("#[cfg(test)] mod tests { use std::fs; }"), 0);
    assert_eq!(impure("use std::net::SocketAddr; use std::net::{IpAddr, Ipv4Addr};"), 0);
    assert_eq!(impure("fn f(x: Thing) { x.rand() }"), 0);
}

#[test]
fn shortcuts_are_caught_outside_tests() {
    let bad = "fn f() { g().unwrap(); todo!(); unimplemented!(); dbg!(1); }";
    assert_eq!(shortcuts(&Source::new("src/io/a.rs", bad)).len(), 4);
    let fine = "fn f() { g().unwrap_or(1) }\n#[cfg(test)] mod t { fn h() { g().unwrap(); } }";
    assert_eq!(shortcuts(&Source::new("src/io/a.rs", fine)).len(), 0);
    assert_eq!(shortcuts(&Source::new("tests/a.rs", bad)).len(), 0);
}

#[test]
fn a_file_without_its_header_is_caught() {
    assert_eq!(opening(&Source::new("src/a.rs", "use b;")).len(), 1);
    assert_eq!(opening(&Source::new("src/a.rs", "//! What it is.")).len(), 0);
}

#[test]
fn public_items_without_a_sentence_are_caught() {
    let faults = |text: &str| undocumented(&Source::new("src/a.rs", text)).len();
    assert_eq!(faults("pub fn f() {}\n#[derive(\n    Clone,\n)]\npub struct S;\n"), 2);
    assert_eq!(faults("/// Does it.\n#[must_use]\npub const fn f() {}\nfn g() {}\n"), 0);
    assert_eq!(faults("/// One.\npub const A: u8 = 1;\npub const B: u8 = 2;\n"), 1);
    assert_eq!(faults("#[cfg(test)]\nmod tests {\n    pub fn f() {}\n}\n"), 0);
}

#[test]
fn places_of_one_machine_are_caught() {
    assert_eq!(places("a.md", concat!("see\n/wo", "rk/x or https://crates", ".io")).len(), 2);
    assert_eq!(places("a.md", "see docs/style.md").len(), 0);
}
