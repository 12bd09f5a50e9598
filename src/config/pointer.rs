//! Topics and JSON pointers as people write them: of meters and of forecasts.

use super::report::Report;
use super::words::quoted;

/// A topic must be exact.
pub fn check_topic(path: &str, topic: &str, report: &mut Report) {
    if topic.contains(['+', '#']) {
        let expected = "the exact topic: with + or # several meters would mix into one";
        report.error(path, quoted(topic), expected);
    } else if topic.contains(|letter: char| letter.is_control()) {
        report.error(path, quoted(topic), "a topic without control characters");
    }
}

/// A JSON pointer must be one.
pub fn check_pointer(path: &str, pointer: &str, report: &mut Report) {
    if pointer.is_empty() {
        let expected = "no pointer at all where the message is the number itself";
        report.error(path, "an empty pointer", expected);
        return;
    }
    let escapes = pointer.split('~').skip(1);
    let sound = escapes.into_iter().all(|rest| rest.starts_with(['0', '1']));
    if !pointer.starts_with('/') || !sound {
        let slashed = format!("/{}", pointer.trim_start_matches('/').replace('.', "/"));
        let expected = match sound {
            true => format!("a JSON pointer, which begins with /: {}", quoted(&slashed)),
            false => "~ written as ~0 (RFC 6901)".to_owned(),
        };
        report.error(path, quoted(pointer), expected);
    }
}
