//! Finds every line that is no TOML, says what is wrong with it in words, and mends the text so
//! that the rest of the file can still be judged: one missing quote hides nothing on the other
//! lines.
//!
//! A line that cannot be read is blanked, a header gets the brackets that the schema asks for.
//! Lines keep their numbers. Where mending leads nowhere (an open text of many lines) the file is
//! given up after what was found.

use serde_json::Value;
use toml::de::DeTable;

use super::report::Report;
use super::words::{is_secret, shortened};

/// More lines than this that are no TOML: the file is something else.
const MENDED_MAX: usize = 50;

/// The text with every unreadable line mended; none where its shape is lost.
pub fn mend(root: &Value, text: &str, report: &mut Report) -> Option<String> {
    let mut text = close_lists(text, report);
    for count in 0..MENDED_MAX {
        let Err(error) = DeTable::parse(&text) else { return Some(text) };
        let span = error.span().unwrap_or_default();
        let written = text.get(span.clone()).unwrap_or_default().to_owned();
        let endless = error.message().contains("multi-line");
        let number = if endless { open_text(&text) } else { report.line(span.start) };
        if report.is_unreadable(number) {
            return None;
        }
        let line = text.lines().nth(number - 1).unwrap_or_default().to_owned();
        let (found, expected, mended) = if endless {
            let expected = "text on one line, in single quotes or double".to_owned();
            let shown = line.split('=').next().unwrap_or_default().trim();
            (format!("{shown} = and three quotes"), expected, String::new())
        } else if line.trim_start().starts_with('[') {
            header(root, &line, count)
        } else {
            let (found, expected) = in_words(error.message(), line.trim(), &written);
            (found, expected, String::new())
        };
        let offset = if endless { 0 } else { span.start };
        report.unreadable(number, offset, found, expected);
        text = replace_line(&text, number, &mended);
        report.reindex(&text);
    }
    None
}

/// What is wrong with a header, and what it is read as.
fn header(root: &Value, line: &str, count: usize) -> (String, String, String) {
    let written = line.split('#').next().unwrap_or_default().trim();
    let name: String =
        written.chars().filter(|letter| !matches!(letter, '[' | ']' | ' ')).collect();
    let mut schema = Some(root);
    for part in name.split('.') {
        let keys = schema.map(|schema| schema.get("items").unwrap_or(schema));
        schema = keys.and_then(|table| table.get("properties")).and_then(|keys| keys.get(part));
    }
    let right = match schema.map(|schema| schema.get("items").is_some()) {
        Some(true) => format!("[[{name}]]"),
        _ => format!("[{name}]"),
    };
    if schema.is_some() && right != written {
        return (written.to_owned(), right.clone(), right);
    }
    let aside = format!("[again_{count}]");
    let (found, expected) = match schema {
        Some(_) => (format!("a second {written}"), "it once, with all its keys".to_owned()),
        None => (shortened(written), "a header like [site] or [[evse]]".to_owned()),
    };
    (found, expected, aside)
}

/// What the parser says, as found and expected in the words of someone who wrote `16A`.
fn in_words(message: &str, line: &str, written: &str) -> (String, String) {
    let value = line.split_once('=').map_or("", |(_, value)| value);
    let value = value.split('#').next().unwrap_or_default().trim();
    let (what, wanted) = message.split_once(", expected ").unwrap_or((message, ""));
    let shown = |text: &str| match text {
        "" => "nothing".to_owned(),
        _ if is_secret(line) => "a line that is not shown".to_owned(),
        text => shortened(text),
    };
    if !line.contains('=') {
        return (shown(line), "key = value".to_owned());
    }
    match what {
        "duplicate key" => (format!("a second {written}"), "each key once in its table".to_owned()),
        _ if is_decimal_comma(value) => {
            (value.to_owned(), format!("a decimal point: {}", value.replacen(',', ".", 1)))
        }
        "string values must be quoted" => {
            let expected = match value.chars().next() {
                None => "a value after the =",
                Some(first) if first.is_ascii_digit() => {
                    "a plain number without its unit, or text in quotes"
                }
                Some(_) => "a number, true or false, or text in quotes",
            };
            (shown(value), expected.to_owned())
        }
        "unexpected leading zero" => (value.to_owned(), "a number without leading zero".to_owned()),
        _ if what.starts_with("invalid") && what.contains("string") => {
            (shown(value), "a quote at the end of the text".to_owned())
        }
        _ if wanted.is_empty() => (shown(line), format!("TOML ({message})")),
        _ => (shown(line), format!("{wanted} ({what})")),
    }
}

/// Closes lists that run into the next header or key: the parser would take those for elements.
fn close_lists(text: &str, report: &mut Report) -> String {
    let plain: Vec<String> = text.split('\n').map(without_texts).collect();
    let mut mended = text.to_owned();
    let mut depth_from: Option<(usize, i64)> = None;
    for (index, line) in plain.iter().enumerate() {
        let opened = depth_from.filter(|_| is_header(line) || line.contains('='));
        if let Some((start, _)) = opened {
            let written = text.split('\n').nth(start).unwrap_or_default().trim();
            let expected = "] at the end of the list".to_owned();
            let found = written.split('=').next().unwrap_or_default().trim();
            report.unreadable(start + 1, 0, format!("{found} = […"), expected);
            for line in start + 1..=index {
                mended = replace_line(&mended, line, "");
                report.skip(line);
            }
            depth_from = None;
        }
        let balance = line.chars().fold(0_i64, |balance, letter| match letter {
            '[' => balance + 1,
            ']' => balance - 1,
            _ => balance,
        });
        depth_from = match depth_from {
            Some((start, depth)) => Some((start, depth + balance)),
            None if line.contains('=') => Some((index, balance)),
            None => None,
        };
        depth_from = depth_from.filter(|(_, depth)| *depth > 0);
    }
    report.reindex(&mended);
    mended
}

/// The line without its comment and without what stands in quotes.
fn without_texts(line: &str) -> String {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let mut plain = String::new();
    for letter in line.chars() {
        match quote {
            Some(open) => {
                quote = Some(open).filter(|open| letter != *open || escaped);
                escaped = letter == '\\' && !escaped && open == '"';
            }
            None if letter == '#' => break,
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            None => plain.push(letter),
        }
    }
    plain
}

fn is_header(line: &str) -> bool {
    let name = line.trim().trim_matches(['[', ']']);
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    line.trim().starts_with('[')
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(fits)
        && !matches!(name, "true" | "false" | "nan" | "inf")
}

/// The number of the line where a text of many lines was opened last.
fn open_text(text: &str) -> usize {
    let opens = |line: &&str| line.contains("\"\"\"") || line.contains("'''");
    let above = text.lines().count();
    let back = text.lines().rev().position(|line| opens(&line));
    back.map_or(1, |back| above - back)
}

fn replace_line(text: &str, number: usize, mended: &str) -> String {
    let lines = text.split('\n').enumerate();
    let lines: Vec<&str> =
        lines.map(|(index, line)| if index + 1 == number { mended } else { line }).collect();
    lines.join("\n")
}

fn is_decimal_comma(value: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    value
        .split_once(',')
        .is_some_and(|(whole, rest)| digits(whole.trim_start_matches('-')) && digits(rest))
}
