//! Stacked bars as SVG: how much of a limit is used, and by what.
//!
//! Lengths are percentages in attributes, so the page needs no inline style and its security policy
//! can forbid it. Kinds of load differ by hatching as well as by colour. The figures always stand
//! beside a bar as text; the bar itself is hidden from screen readers.

use super::html::Html;

/// Part of the width that lies beyond the limit, so that its mark stands apart from the frame.
const BEYOND: f64 = 0.03;

/// One bar; all figures in the same unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// What may be carried at most; none for a virtual node.
    pub limit: Option<i64>,
    /// Load that is not ours.
    pub other: i64,
    /// What cars draw.
    pub cars: i64,
    /// What cars may draw: the part above `cars` is reserved.
    pub leased: i64,
    /// A mark of its own below the limit: the limit in force of an EVSE.
    pub mark: Option<i64>,
}

impl Bar {
    /// The bar as SVG.
    pub fn draw(&self, out: &mut Html) {
        let other = self.other.max(0);
        let cars = self.cars.max(0);
        let held = self.leased.max(cars) - cars;
        let used = other + cars + held;
        let end = self.limit.unwrap_or(used).max(used).max(1);
        let scale = end as f64 * (1.0 + BEYOND) / 100.0;
        let percent = |value: i64| format!("{:.2}%", value as f64 / scale);
        out.add("<svg class=\"bar\" aria-hidden=\"true\" focusable=\"false\">", &[]);
        let track = self.limit.unwrap_or(end);
        out.add("<rect class=\"room\" width=\"{}\" height=\"100%\"/>", &[&percent(track)]);
        // All parts are always drawn, empty or not, so that a change glides instead of jumping.
        for (from, size, class) in
            [(0, other, "other"), (other, cars, "cars"), (other + cars, held, "held")]
        {
            let (x, width) = (percent(from), percent(size));
            out.add(
                "<rect class=\"{}\" x=\"{}\" width=\"{}\" height=\"100%\"",
                &[&class, &x, &width],
            );
            match class {
                "other" => out.add(" fill=\"url(#hatch-other)\"/>", &[]),
                "held" => out.add(" fill=\"url(#hatch-held)\"/>", &[]),
                _ => out.add("/>", &[]),
            }
        }
        if let Some(limit) = self.limit {
            let over = (used - limit).max(0);
            out.add(
                "<rect class=\"over\" x=\"{}\" width=\"{}\" height=\"100%\"/>",
                &[&percent(limit), &percent(over)],
            );
            let x = percent(limit);
            out.add("<line class=\"rating\" x1=\"{}\" x2=\"{}\" y1=\"0\" y2=\"100%\"/>", &[&x, &x]);
        }
        if let Some(mark) = self.mark {
            let x = percent(mark);
            out.add("<rect class=\"mark\" x=\"{}\" width=\"4\" height=\"100%\"/>", &[&x]);
        }
        out.add("</svg>", &[]);
    }
}

/// A part of the balance of the site.
pub struct Part {
    /// Decides the colour.
    pub class: &'static str,
    /// Stands in the part where there is room for it.
    pub name: &'static str,
    /// Its size.
    pub size: i64,
}

/// Share of the width, in percent, from which on a name fits into its part on a phone.
const NAMED: i64 = 16;

/// Parts of a whole, side by side, with their names in them.
pub fn stack(out: &mut Html, whole: i64, parts: &[Part]) {
    let percent = |value: i64| format!("{:.2}%", value as f64 * 100.0 / whole.max(1) as f64);
    out.add("<svg class=\"bar stack\" aria-hidden=\"true\" focusable=\"false\">", &[]);
    let mut from = 0;
    for part in parts {
        let (x, width) = (percent(from), percent(part.size));
        out.add(
            "<rect class=\"{}\" x=\"{}\" width=\"{}\" height=\"100%\"/>",
            &[&part.class, &x, &width],
        );
        let name = if whole.max(1) * NAMED <= part.size * 100 { part.name } else { "" };
        let middle = percent(from + part.size / 2);
        out.add(
            "<text class=\"on-{}\" x=\"{}\" y=\"50%\" dy=\".35em\">{}</text>",
            &[&part.class, &middle, &name],
        );
        from += part.size;
    }
    out.add("</svg>", &[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(bar: Bar) -> String {
        let mut out = Html::new();
        bar.draw(&mut out);
        out.into_string()
    }

    #[test]
    fn parts_lie_side_by_side_up_to_the_limit() {
        let bar = Bar { limit: Some(103), other: 10, cars: 20, leased: 30, mark: None };
        let svg = drawn(Bar { limit: Some(100), ..bar });
        for part in [
            "class=\"other\" x=\"0.00%\" width=\"9.71%\"",
            "class=\"cars\" x=\"9.71%\" width=\"19.42%\"",
            "class=\"held\" x=\"29.13%\" width=\"9.71%\"",
            "class=\"over\" x=\"97.09%\" width=\"0.00%\"",
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
    }

    #[test]
    fn more_than_the_limit_stands_beyond_its_mark() {
        let svg = drawn(Bar { limit: Some(100), other: 100, cars: 100, leased: 0, mark: None });
        assert!(svg.contains("class=\"over\" x=\"48.54%\" width=\"48.54%\""), "{svg}");
    }

    #[test]
    fn nothing_at_all_and_generation_draw_no_negative_length() {
        let svg = drawn(Bar { limit: None, other: -50, cars: 0, leased: 0, mark: Some(0) });
        assert!(!svg.contains('-') || !svg.contains("\"-"), "{svg}");
    }
}
