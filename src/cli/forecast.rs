//! `ampgate forecasts`: what is expected, how far it was off, and what came from outside.

use crate::controller::view::View;
use crate::ground::zone::Zone;
use crate::ui::forecast::{lead, name, received};

use super::text::{Side, clean, row, table};

/// The forecasts of a site in a table, then where each comes from.
pub fn forecasts(view: &View) -> String {
    if view.forecasts.is_empty() {
        return "Nothing is forecast.\n".to_owned();
    }
    let zone = Zone::new(&view.zone);
    let mut lines = vec![row(["OF", "OFF BY, 1 H", "6 H", "24 H AHEAD", "FROM"])];
    let mut more = String::new();
    for one in &view.forecasts {
        let (name, source) = (name(one.kind), clean(&one.source));
        lines.push(row([name, &lead(one, 1), &lead(one, 6), &lead(one, 24), &source]));
        let Some(feed) = &one.received else { continue };
        more.push_str(&format!(
            "{}\n  {}\n",
            clean(&received(feed, &zone, view)),
            clean(&feed.place)
        ));
        if let Some(trouble) = &feed.trouble {
            more.push_str(&format!("  ! {}\n", clean(trouble)));
        }
    }
    use Side::{Left, Right};
    let table = table(&[Left, Right, Right, Right, Left], &lines);
    format!("{table}(in brackets: the simplest forecast)\n{more}")
}
