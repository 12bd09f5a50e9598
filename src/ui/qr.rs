//! The QR code of an EVSE: what is printed and stuck beside the socket.

use fast_qr::ECL;
use fast_qr::qr::QRBuilder;

use crate::controller::view::{EvseView, View};

use super::badge::Badge;
use super::html::{Html, segment};
use super::page;

/// Light modules around a code, as ISO/IEC 18004 wants them.
const QUIET: usize = 4;

/// Where a code leads.
pub struct Link<'a> {
    /// Of the pages of drivers.
    pub origin: &'a str,
    /// Opens the page of the EVSE.
    pub code: &'a str,
    /// Whether phones can reach it.
    pub reachable: bool,
}

/// The page to print: the code, what it is for, and where it leads.
pub fn page(view: &View, evse: &EvseView, link: &Link<'_>, badge: &Badge) -> Html {
    let Link { origin, code, reachable } = *link;
    let path = format!("/d/{}?c={code}", segment(&evse.id));
    let link = format!("{origin}{path}");
    let mut out = page::opened(view, "", &evse.id, badge);
    out.add(
        "<nav class=\"back\"><a href=\"/evse/{}\">← {}</a></nav>",
        &[&segment(&evse.id), &evse.id],
    );
    if !reachable {
        out.add(
            "<p class=\"alert\">Phones cannot reach this address: it is of this machine alone. \
             Set page_url in [drivers], and let a reverse proxy forward /d/ and /assets/.</p>",
            &[],
        );
    }
    out.add("<section class=\"sheet poster\"><h2>{}</h2>", &[&evse.id]);
    draw(&mut out, &link);
    out.add(
        "<p class=\"call\">Scan, and say when you leave and how much you need.</p>\
         <p class=\"code\">{}</p></section>",
        &[&link],
    );
    out.add(
        "<p class=\"beside\">Print this page and put it beside the socket. The code is of {} \
         alone. <a href=\"{}\">Open the page of its driver</a></p>",
        &[&evse.id, &path],
    );
    page::closed(out, badge)
}

/// A code as SVG: one path, dark on light in every theme. Nothing where the text is too long.
pub fn draw(out: &mut Html, text: &str) {
    let Ok(code) = QRBuilder::new(text).ecl(ECL::M).build() else {
        return out.add("<p class=\"warn\">The address is too long for a code.</p>", &[]);
    };
    let side = code.size;
    let whole = side + 2 * QUIET;
    let mut path = String::new();
    for row in 0..side {
        let mut column = 0;
        while column < side {
            let dark = |column: usize| code[row].get(column).is_some_and(|one| one.value());
            let run = (column..side).take_while(|column| dark(*column)).count();
            if 0 < run {
                let (x, y) = (column + QUIET, row + QUIET);
                path.push_str(&format!("M{x} {y}h{run}v1h-{run}z"));
            }
            column += run.max(1);
        }
    }
    out.add(
        "<svg class=\"qr\" role=\"img\" aria-label=\"QR code\" viewBox=\"0 0 {} {}\">\
         <rect class=\"light\" width=\"100%\" height=\"100%\"/>\
         <path class=\"dark\" d=\"{}\"/></svg>",
        &[&whole, &whole, &path],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_three_corners_and_too_long_a_text_none() {
        let mut out = Html::new();
        draw(&mut out, "http://127.0.0.1:8080/d/EVSE-01?c=00112233445566778899aabb");
        // A code of 33 modules: the finder patterns begin and end with seven dark ones.
        let svg = out.as_str();
        for run in ["M4 4h7v1", "M30 4h7v1", "M4 10h7v1", "M30 10h7v1", "M4 30h7v1", "M4 36h7v1"] {
            assert!(svg.contains(run), "{run} in {svg}");
        }
        let mut out = Html::new();
        draw(&mut out, &"x".repeat(4000));
        assert!(out.as_str().contains("too long"));
    }
}
