//! Small plots as inline SVG: stacked areas, lines and bars. Colours come from the page's style.

use std::fmt::Write;

/// Width of a plot that stands beside another, in its own units; the page scales it.
pub const HALF: f64 = 600.0;
/// Width of a plot that has the page to itself.
pub const WHOLE: f64 = 1200.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;

/// A plot with its axes; shapes are added on top.
#[derive(Debug)]
pub struct Plot {
    title: String,
    width: f64,
    x: (f64, f64),
    y_max: f64,
    ticks: Vec<(f64, String)>,
    unit: &'static str,
    shapes: String,
}

impl Plot {
    /// With x from and to, y from 0 to at least `y_max`, and labelled ticks along x.
    pub fn new(
        (title, width): (&str, f64),
        x: (f64, f64),
        y_max: f64,
        unit: &'static str,
        ticks: Vec<(f64, String)>,
    ) -> Self {
        let y_max = nice(y_max);
        Self { title: escape(title), width, x, y_max, ticks, unit, shapes: String::new() }
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let across = (x - self.x.0) / (self.x.1 - self.x.0);
        let up = y / self.y_max;
        (
            LEFT + across * (self.width - LEFT - RIGHT),
            HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM),
        )
    }

    /// An area between two courses of the same x.
    pub fn area(&mut self, class: &str, points: &[(f64, f64, f64)]) {
        let mut path = String::new();
        for (x, _, high) in points {
            let (x, y) = self.at(*x, *high);
            let _ = write!(path, "{x:.1},{y:.1} ");
        }
        for (x, low, _) in points.iter().rev() {
            let (x, y) = self.at(*x, *low);
            let _ = write!(path, "{x:.1},{y:.1} ");
        }
        let _ = write!(self.shapes, "<polygon class=\"{class}\" points=\"{}\"/>", path.trim_end());
    }

    /// A line.
    pub fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut path = String::new();
        for (x, y) in points {
            let (x, y) = self.at(*x, *y);
            let _ = write!(path, "{x:.1},{y:.1} ");
        }
        let _ = write!(self.shapes, "<polyline class=\"{class}\" points=\"{}\"/>", path.trim_end());
    }

    /// A bar from 0 to `y`, with what it says when pointed at.
    pub fn bar(&mut self, class: &str, (from, to): (f64, f64), y: f64, words: &str) {
        let (left, top) = self.at(from, y);
        let (right, bottom) = self.at(to, 0.0);
        let _ = write!(
            self.shapes,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" \
             height=\"{:.1}\"><title>{}</title></rect>",
            right - left,
            bottom - top,
            escape(words)
        );
    }

    /// The SVG element.
    pub fn svg(&self) -> String {
        let mut text = format!(
            "<svg viewBox=\"0 0 {} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            self.width, self.title
        );
        for step in 0..=4 {
            let value = self.y_max * f64::from(step) / 4.0;
            let (_, y) = self.at(self.x.0, value);
            let label =
                if self.y_max < 4.0 { format!("{value:.1}") } else { format!("{value:.0}") };
            let unit = if step == 4 { self.unit } else { "" };
            let _ = write!(
                text,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{y:.1}\"/>\
                 <text class=\"label end\" x=\"{}\" y=\"{:.1}\">{label} {unit}</text>",
                self.width - RIGHT,
                LEFT - 5.0,
                y + 4.0
            );
        }
        for (value, label) in &self.ticks {
            let (x, _) = self.at(*value, 0.0);
            let _ = write!(
                text,
                "<text class=\"label mid\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                HEIGHT - 8.0,
                escape(label)
            );
        }
        text.push_str(&self.shapes);
        text.push_str("</svg>");
        text
    }
}

/// The next larger number whose quarters are readable.
fn nice(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let scale = 10f64.powf(value.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 4.8, 6.0, 8.0, 10.0];
    steps.iter().map(|step| step * scale).find(|step| value <= *step).unwrap_or(value)
}

/// Text for HTML and SVG.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_readable_numbers() {
        assert_eq!(nice(37.0), 40.0);
        assert_eq!(nice(0.43), 0.48);
        assert_eq!(nice(0.0), 1.0);
    }

    #[test]
    fn a_plot_is_one_element_and_its_text_is_escaped() {
        let mut plot =
            Plot::new(("a < b", HALF), (0.0, 1.0), 10.0, "kW", vec![(0.5, "<x>".to_owned())]);
        plot.line("pv", &[(0.0, 0.0), (1.0, 10.0)]);
        let svg = plot.svg();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
        assert!(svg.contains("a &lt; b") && svg.contains("&lt;x&gt;"));
        assert!(svg.contains("46.0,244.0 584.0,10.0"), "{svg}");
    }
}
