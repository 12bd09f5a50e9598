//! Rule: nothing grows past what a person reads in one go.

use super::source::{Source, Word, item_end};

/// Lines of a file: beyond it, it holds two subjects.
const FILE_MAX: usize = 600;
/// Lines of a function: one screen.
const FUNCTION_MAX: usize = 70;
/// Columns of a line: two files side by side.
const COLUMNS_MAX: usize = 100;
/// Lines of the file in the middle of the order of size.
const MEDIAN_MAX: usize = 250;

/// Files, functions and lines that are too long.
pub fn check(source: &Source) -> Vec<String> {
    let path = &source.path;
    let mut faults = Vec::new();
    let quoted = |(index, line): &(usize, &str)| is_inside_quotation(source, index + 1, line);
    let lines = source.text.lines().enumerate().filter(|line| !quoted(line)).count();
    if FILE_MAX < lines {
        faults.push(format!("{path}: {lines} lines, at most {FILE_MAX}"));
    }
    for (index, line) in source.text.lines().enumerate() {
        let columns = line.chars().count();
        if COLUMNS_MAX < columns && !is_quotation(source, index + 1, line) {
            faults.push(format!("{path}:{}: {columns} columns, at most {COLUMNS_MAX}", index + 1));
        }
    }
    for (name, line, length) in functions(source) {
        if FUNCTION_MAX < length {
            faults.push(format!("{path}:{line}: `{name}` has {length} lines, max {FUNCTION_MAX}"));
        }
    }
    faults
}

/// A frame or a file that a test quotes stays as it came over the wire.
fn is_quotation(source: &Source, line: usize, text: &str) -> bool {
    let quotes = last_word(source, line).is_some_and(|word| word.test) && text.contains('"');
    quotes || is_inside_quotation(source, line, text)
}

/// A line that holds nothing but a piece of a test's quotation.
fn is_inside_quotation(source: &Source, line: usize, text: &str) -> bool {
    let text = text.trim_start();
    let told = text.is_empty() || text.starts_with("//");
    last_word(source, line).is_some_and(|word| word.test && word.line < line && !told)
}

/// The last word up to the end of a line.
fn last_word(source: &Source, line: usize) -> Option<&Word> {
    let before = source.words.partition_point(|word| word.line <= line);
    before.checked_sub(1).map(|at| &source.words[at])
}

/// Each function with its first line and its length in lines, signature and braces included.
fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let words = &source.words;
    let named = |at: &usize| {
        words[*at].text == "fn" && words.get(at + 1).is_some_and(|next| next.text != "(")
    };
    let found = (0..words.len()).filter(named).map(|at| {
        let last = words[item_end(words, at) - 1].line;
        (words[at + 1].text.clone(), words[at].line, last + 1 - words[at].line)
    });
    found.collect()
}

/// The size of the file in the middle, and whether it is too large.
pub fn median(sources: &[Source]) -> Result<usize, String> {
    let mut sizes: Vec<usize> = sources.iter().map(|file| file.text.lines().count()).collect();
    sizes.sort_unstable();
    let middle = sizes.get(sizes.len() / 2).copied().unwrap_or(0);
    if MEDIAN_MAX < middle {
        return Err(format!("the median file has {middle} lines, at most {MEDIAN_MAX}"));
    }
    Ok(middle)
}

#[test]
fn long_files_functions_and_lines_are_caught() {
    let long = Source::new("src/a.rs", &"//\n".repeat(FILE_MAX + 1));
    assert_eq!(check(&long).len(), 1);
    let wide = Source::new("src/a.rs", &"é".repeat(COLUMNS_MAX + 1));
    assert_eq!(check(&wide).len(), 1);
    let long = "x".repeat(COLUMNS_MAX);
    let quoted = format!("#[cfg(test)]\nmod tests {{ const A: &str = \"{long}\"; }}");
    assert_eq!(check(&Source::new("src/a.rs", &quoted)).len(), 0);
    assert_eq!(check(&Source::new("src/a.rs", &quoted.replace("#[cfg(test)]", ""))).len(), 1);
    let raw = format!("const A: &str = r#\"\n{long}x\n\"#;");
    assert_eq!(check(&Source::new("tests/a.rs", &raw)).len(), 0);
    let just = Source::new("src/a.rs", &"é".repeat(COLUMNS_MAX));
    assert_eq!(check(&just).len(), 0);
    let body =
        |lines: usize| format!("fn f(a: [u8; 4]) {{\n{}}}\nfn g() {{}}\n", "x;\n".repeat(lines));
    assert_eq!(check(&Source::new("src/a.rs", &body(FUNCTION_MAX - 2))).len(), 0);
    assert_eq!(check(&Source::new("src/a.rs", &body(FUNCTION_MAX - 1))).len(), 1);
}

#[test]
fn a_large_median_is_caught() {
    let sized = |lines: usize| Source::new("src/a.rs", &"//\n".repeat(lines));
    assert_eq!(median(&[sized(1), sized(9), sized(599)]), Ok(9));
    assert!(median(&[sized(1), sized(251), sized(599)]).is_err());
}
