//! HTML that cannot be written unescaped.
//!
//! Names of EVSEs, tokens and vendors come from outside. Markup enters only as a `&'static str`,
//! everything else is escaped on its way in, for text and for double-quoted attributes alike.

use std::fmt::{self, Display, Write};

/// A piece of HTML in which every value is escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// Appends `template` with each `{}` replaced by the next value, escaped. Attributes in the
    /// template stand in double quotes.
    pub fn add(&mut self, template: &'static str, values: &[&dyn Display]) {
        let mut values = values.iter();
        let mut pieces = template.split("{}");
        self.0.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            if let Some(value) = values.next() {
                self.text(value);
            }
            self.0.push_str(piece);
        }
        debug_assert!(values.next().is_none(), "a value without its place in {template}");
    }

    /// Appends a value, escaped.
    pub fn text(&mut self, value: &dyn Display) {
        let written = write!(Escape(&mut self.0), "{value}");
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }

    /// Appends a symbol of the page (`assets/symbols.svg`), hidden from screen readers: the words
    /// stand beside it.
    pub fn icon(&mut self, name: &'static str) {
        self.add("<svg class=\"icon\" aria-hidden=\"true\"><use href=\"#i-{}\"/></svg>", &[&name]);
    }

    /// Appends another piece.
    pub fn append(&mut self, other: &Html) {
        self.0.push_str(&other.0);
    }

    /// The markup.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The markup.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// `text` as one segment of a URL path: everything but letters, digits and `-._~` is encoded.
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

struct Escape<'a>(&'a mut String);

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Control characters have no place in a page; bidirectional overrides could make
                // a name read as another.
                '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => self.0.push(' '),
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => self.0.push('\u{fffd}'),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_markup_is_not() {
        let mut html = Html::new();
        html.add("<b title=\"{}\">{}</b>", &[&"a\"b", &"<script>alert('1')</script>&\u{202e}"]);
        assert_eq!(
            html.as_str(),
            "<b title=\"a&quot;b\">&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;\u{fffd}</b>"
        );
    }

    #[test]
    fn a_name_stays_one_segment_of_a_path() {
        assert_eq!(segment("A/..?x#<é"), "A%2F..%3Fx%23%3C%C3%A9");
    }
}
