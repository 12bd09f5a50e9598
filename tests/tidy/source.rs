//! Rust source as the rules see it: comments and strings blanked out, cut into words, test code
//! told apart, and every path to another module of the crate resolved to a file.
//!
//! A small lexer and no parser: it knows just enough Rust for the rules that stand on it.

use std::collections::BTreeMap;
use std::path::Path;

/// One source file.
pub struct Source {
    /// Path from the root of the repository, with `/`.
    pub path: String,
    /// As written.
    pub text: String,
    /// Its words, comments and strings left out.
    pub words: Vec<Word>,
}

/// An identifier, a number, `::` or one character of punctuation.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    pub text: String,
    /// Line in the file, from 1.
    pub line: usize,
    /// It stands below a `#[cfg(test)]`.
    pub test: bool,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let mut words = cut(&blank(text));
        mark_tests(&mut words, is_test_file(path));
        Self { path: path.to_owned(), text: text.to_owned(), words }
    }

    /// The words that are built into the product.
    pub fn production(&self) -> impl Iterator<Item = &Word> {
        self.words.iter().filter(|word| !word.test)
    }

    /// Module path inside the crate: `src/control/guard.rs` is `control::guard`.
    pub fn module(&self) -> Vec<String> {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let inner = inner.strip_suffix(".rs").unwrap_or(inner);
        let inner = inner.strip_suffix("/mod").unwrap_or(inner);
        match inner {
            "lib" | "main" => Vec::new(),
            _ => inner.split('/').map(str::to_owned).collect(),
        }
    }
}

fn is_test_file(path: &str) -> bool {
    !path.starts_with("src/") || path.ends_with("/tests.rs")
}

/// All `.rs` files below `folder`, in order of their paths.
pub fn load(root: &Path, folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(root, folder, &mut |path, full| {
        if path.ends_with(".rs") {
            let text = std::fs::read_to_string(full).expect("source files are UTF-8");
            found.push(Source::new(path, &text));
        }
    });
    found
}

/// Calls `visit(path from root, full path)` for each file below `folder`, in order.
pub fn walk(root: &Path, folder: &str, visit: &mut dyn FnMut(&str, &Path)) {
    const NOT_OURS: [&str; 6] = ["target", ".git", ".venv", "__pycache__", ".pytest_cache", "data"];
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !NOT_OURS.contains(&name.as_str()))
        .collect();
    names.sort();
    for name in names {
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let full = root.join(&path);
        if full.is_dir() {
            walk(root, &path, visit);
        } else {
            visit(&path, &full);
        }
    }
}

/// The text with comments, strings and character literals replaced by spaces; lines stay lines.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = hidden_until(&chars, at);
        for char in &chars[at..end] {
            out.push(if *char == '\n' { '\n' } else { ' ' });
        }
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            at = end;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none begins there.
fn hidden_until(chars: &[char], at: usize) -> usize {
    let next = |offset: usize| chars.get(at + offset).copied().unwrap_or(' ');
    let part_of_name = 0 < at && is_name(chars[at - 1]);
    match (next(0), next(1)) {
        ('/', '/') => find(chars, at, |rest| rest[0] == '\n'),
        ('/', '*') => comment_end(chars, at),
        ('"', _) => string_end(chars, at),
        ('r', '"' | '#') if !part_of_name => raw_end(chars, at, 1).unwrap_or(at),
        ('b', 'r') if !part_of_name => raw_end(chars, at, 2).unwrap_or(at),
        ('\'', '\\') => 1 + find(chars, at + 3, |rest| rest[0] == '\''),
        ('\'', _) if next(2) == '\'' => at + 3,
        _ => at,
    }
}

fn find(chars: &[char], from: usize, hit: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len()).find(|at| hit(&chars[*at..])).unwrap_or(chars.len())
}

fn comment_end(chars: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn string_end(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// End of `r"…"` or `r##"…"##`; none if it is a raw identifier or a plain name.
fn raw_end(chars: &[char], start: usize, prefix: usize) -> Option<usize> {
    let hashes = chars[start + prefix..].iter().take_while(|char| **char == '#').count();
    let open = start + prefix + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let close = |rest: &[char]| {
        rest[0] == '"' && hashes <= rest[1..].iter().take_while(|char| **char == '#').count()
    };
    Some((find(chars, open + 1, close) + 1 + hashes).min(chars.len()))
}

fn is_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn cut(code: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_name(first) {
                rest.find(|char| !is_name(char)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let text = rest[..length].to_owned();
            words.push(Word { text, line: index + 1, test: false });
            rest = rest[length..].trim_start();
        }
    }
    words
}

/// Marks the items behind `#[cfg(test)]`, or everything in a file of tests.
fn mark_tests(words: &mut [Word], whole_file: bool) {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut at = 0;
    while at < words.len() {
        let hit = words[at..].iter().zip(ATTRIBUTE).filter(|(word, want)| word.text == *want);
        if whole_file {
            words[at].test = true;
            at += 1;
        } else if hit.count() == ATTRIBUTE.len() {
            let end = item_end(words, at + ATTRIBUTE.len());
            words[at..end].iter_mut().for_each(|word| word.test = true);
            at = end;
        } else {
            at += 1;
        }
    }
}

/// One past the end of the item that begins at `start`: its `;` or its closing brace.
pub fn item_end(words: &[Word], start: usize) -> usize {
    let mut round = 0_i32;
    let mut braces = 0_i32;
    for (index, word) in words.iter().enumerate().skip(start) {
        match word.text.as_str() {
            "(" | "[" => round += 1,
            ")" | "]" => round -= 1,
            "{" => braces += 1,
            "}" => {
                braces -= 1;
                if braces <= 0 && round == 0 {
                    return index + 1;
                }
            }
            ";" if round == 0 && braces == 0 => return index + 1,
            _ => {}
        }
    }
    words.len()
}

/// A path inside the crate that a file names.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// Segments from the crate's root.
    pub path: Vec<String>,
    pub line: usize,
    pub test: bool,
}

/// Every path to another place of the crate: `crate::…`, `super::…`, `self::…`, `ampgate::…`, and
/// in a folder's own file the bare names of its children.
pub fn imports(source: &Source, children: &[String]) -> Vec<Import> {
    let words = &source.words;
    let mut found = Vec::new();
    let mut inner: Vec<(String, i32)> = Vec::new();
    let mut depth = 0;
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    for at in 0..words.len() {
        match text(at) {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inner.last().is_some_and(|(_, opened)| *opened == depth) {
                    inner.pop();
                }
            }
            "mod" if text(at + 2) == "{" => inner.push((text(at + 1).to_owned(), depth)),
            _ => {}
        }
        let starts = match text(at) {
            "crate" | "super" | "self" | "ampgate" => true,
            name => inner.is_empty() && children.iter().any(|child| child == name),
        };
        let continues = 0 < at && (text(at - 1) == "::" || text(at - 1) == ".");
        let visibility = 1 < at && text(at - 1) == "in" && text(at - 2) == "(";
        if starts && text(at + 1) == "::" && !continues && !visibility {
            let mut here = source.module();
            here.extend(inner.iter().map(|(name, _)| name.clone()));
            for (path, line) in tree(words, at, &here) {
                found.push(Import { path, line, test: words[at].test });
            }
        }
    }
    found
}

/// The paths of the tree that begins at `at` (`a::{b, c::d}` is two), made absolute.
fn tree(words: &[Word], at: usize, here: &[String]) -> Vec<(Vec<String>, usize)> {
    let first = words[at].text.as_str();
    let (mut path, mut next) = match first {
        "crate" | "ampgate" => (Vec::new(), at + 1),
        "self" => (here.to_vec(), at + 1),
        "super" => (here.to_vec(), at),
        _ => (here.to_vec(), at),
    };
    let mut found = Vec::new();
    while let Some(word) = words.get(next) {
        match word.text.as_str() {
            "::" => {}
            "super" => {
                path.pop();
            }
            "{" => {
                branches(words, next, &path, &mut found);
                return found;
            }
            name if name.starts_with(is_name) => path.push(name.to_owned()),
            _ => break,
        }
        next += 1;
        let goes_on = words.get(next).is_some_and(|word| word.text == "::");
        if words[next - 1].text != "::" && !goes_on {
            break;
        }
    }
    found.push((path, words[at].line));
    found
}

/// The branches inside the braces that open at `open`.
fn branches(words: &[Word], open: usize, stem: &[String], found: &mut Vec<(Vec<String>, usize)>) {
    let mut path = stem.to_vec();
    let mut at = open + 1;
    while let Some(word) = words.get(at) {
        match word.text.as_str() {
            "}" | "," => {
                if stem.len() < path.len() {
                    found.push((path, word.line));
                }
                path = stem.to_vec();
                if word.text == "}" {
                    return;
                }
            }
            "{" => {
                branches(words, at, &path, found);
                path = stem.to_vec();
                at = item_end(words, at) - 1;
            }
            "as" => at += 1,
            "self" => found.push((path.clone(), word.line)),
            name if name.starts_with(is_name) => path.push(name.to_owned()),
            _ => {}
        }
        at += 1;
    }
}

/// The files by their module paths; `main.rs` is left out: nobody can import it.
pub fn by_module(sources: &[Source]) -> BTreeMap<Vec<String>, usize> {
    let files = sources.iter().enumerate();
    files
        .filter(|(_, source)| source.path != "src/main.rs")
        .map(|(index, source)| (source.module(), index))
        .collect()
}

/// The names of the modules right below this file's own, for a folder's `mod.rs` and the root.
pub fn children(source: &Source, modules: &BTreeMap<Vec<String>, usize>) -> Vec<String> {
    let own = source.module();
    let below = modules.keys().filter(|path| path.len() == own.len() + 1 && path.starts_with(&own));
    below.filter_map(|path| path.last().cloned()).collect()
}

#[test]
fn comments_and_strings_are_no_code() {
    let text = r##"let a = "crate::io \" x"; // crate::ui
/* a /* b */ c */ let b = '"'; r#"x"#; 'a: loop"##;
    let words: Vec<String> = cut(&blank(text)).into_iter().map(|word| word.text).collect();
    assert_eq!(words.join(" "), "let a = ; let b = ; ; ' a : loop");
}

#[test]
fn import_trees_are_resolved() {
    let text = "
use crate::a::{b::C, d::{self, E}};
use super::super::x::Y;
mod tests { use super::*; use super::super::z::W; }
fn f(g: &self::G) { crate::k::l() }
pub(in crate::m) fn h() {}";
    let source = Source::new("src/m/n.rs", text);
    let paths: Vec<String> =
        imports(&source, &[]).into_iter().map(|import| import.path.join("::")).collect();
    let expected = ["a::b::C", "a::d", "a::d::E", "x::Y", "m::n", "m::z::W", "m::n::G", "k::l"];
    assert_eq!(paths, expected);
}

#[test]
fn test_code_is_told_apart() {
    let text =
        "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { {} } }\nfn c() {}\n#[cfg(test)]\nmod d;";
    let source = Source::new("src/m.rs", text);
    let words: Vec<&str> = source.production().map(|word| word.text.as_str()).collect();
    assert_eq!(words.join(" "), "fn a ( ) { } fn c ( ) { }");
}
