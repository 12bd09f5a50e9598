//! Aligned tables for a terminal.

use std::fmt::Write;

/// Which side a column is aligned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Figures.
    Right,
}

/// Rows as lines with two spaces between columns, without spaces at the end of a line. Rows may be
/// shorter than others.
pub fn table(sides: &[Side], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    // The last cell of a row needs no room beside it: remarks may be long.
    let width = |column: usize| {
        let cells = rows.iter().filter(|row| column + 1 < row.len()).map(|row| &row[column]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..sides.len()).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let last = column + 1 == row.len();
            let width = if last { 0 } else { widths.get(column).copied().unwrap_or(0) };
            let written = match sides.get(column) {
                Some(Side::Right) => write!(line, "{cell:>width$}  "),
                _ => write!(line, "{cell:<width$}  "),
            };
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Without control characters: a name from outside must not steer the terminal.
pub fn clean(text: &str) -> String {
    let plain = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    text.chars().map(plain).collect()
}

/// Cells of a row.
pub fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_names_cannot_steer_the_terminal() {
        let rows = [row(["A", "1.0 A", "x"]), row(["Börd\u{1b}[2J", "12.0 A", ""])];
        let text = table(&[Side::Left, Side::Right, Side::Left], &rows);
        assert_eq!(text, "A          1.0 A  x\nBörd\u{fffd}[2J  12.0 A\n");
    }
}
