//! Text to TOML values with their places; what is no TOML is said in words.
//!
//! The parser recovers after a mistake, so a missing quote on one line hides nothing on the others.
//! Only where a mistake may have swallowed what follows (a header, an open bracket) the rest of the
//! file is not judged.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::Report;
use super::words::quoted;

/// After a torn header or bracket the messages that follow are consequences, not mistakes.
const TORN_SHOWN_MAX: usize = 3;

/// The values of the file; none where its shape is lost.
pub fn read<'text>(text: &'text str, report: &mut Report) -> Option<Spanned<DeValue<'text>>> {
    let (table, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    let mut torn = false;
    for (count, error) in errors.iter().enumerate() {
        let span = error.span().unwrap_or_default();
        let line = report.line_at(span.start).trim().to_owned();
        torn |= error.message().starts_with("unclosed") || error.message().contains("recursion");
        torn |= line.starts_with('[') || line.starts_with(']');
        if torn && count >= TORN_SHOWN_MAX {
            continue;
        }
        let (found, expected) = in_words(error.message(), &line, report.written(&span));
        report.unreadable(&span, found, expected);
    }
    let span = table.span();
    (!torn).then(|| Spanned::new(span, DeValue::Table(table.into_inner())))
}

/// What the parser says, as found and expected in the words of someone who wrote `16A`.
fn in_words(message: &str, line: &str, written: &str) -> (String, String) {
    let value = line.split_once('=').map_or("", |(_, value)| value);
    let value = value.split('#').next().unwrap_or_default().trim();
    let (what, wanted) = message.split_once(", expected ").unwrap_or((message, ""));
    let shown = |text: &str| if text.is_empty() { "nothing".to_owned() } else { quoted(text) };
    match what {
        "duplicate key" if line.starts_with('[') => (
            format!("a second [{written}]"),
            "it once, or [[…]] where there are several".to_owned(),
        ),
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
        "key with no value" => (shown(line), "key = value".to_owned()),
        "unexpected leading zero" => (value.to_owned(), "a number without leading zero".to_owned()),
        _ if what.starts_with("invalid") && what.contains("string") => {
            (shown(value), format!("{wanted} at the end of the text"))
        }
        _ if wanted.is_empty() => (shown(line), format!("TOML ({message})")),
        _ => (shown(line), format!("{wanted} ({what})")),
    }
}

fn is_decimal_comma(value: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    value
        .split_once(',')
        .is_some_and(|(whole, rest)| digits(whole.trim_start_matches('-')) && digits(rest))
}
