//! Contacts of the box: lines of a GPIO chip through the kernel's character device, or files that
//! hold 0 or 1. Read ten times a second; what changes is told at once, and everything now and then.
//! What a reading means is decided elsewhere.

use std::path::Path;
use std::time::Duration as RealDuration;

use gpiocdev::Request;
use gpiocdev::line::{Bias, Value};
use tokio::task::JoinHandle;

use crate::controller::message::Input;
use crate::ground::time::{Duration, Instant};
use crate::model::limit::{Contact, ContactPlace, Pull};

use super::clock::Clock;
use super::inbox::Inbox;

/// A contact is read this often.
const READ_EVERY: RealDuration = RealDuration::from_millis(100);
/// What has not changed is told this often.
const TELL_EVERY: Duration = Duration::seconds(5);
/// A line that cannot be had is asked for again this often.
const AGAIN: Duration = Duration::seconds(1);
/// A file with a contact in it is no longer.
const FILE_MAX: u64 = 64;

/// The contacts that are read. Dropping it ends it.
#[derive(Debug)]
pub struct Contacts(Vec<JoinHandle<()>>);

impl Drop for Contacts {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Contacts {
    /// Those of a site.
    pub fn of(contacts: &[Contact], inbox: &Inbox, clock: &Clock) -> Self {
        let one = |contact: &Contact| watch(contact.clone(), inbox.clone(), clock.clone());
        Self(contacts.iter().map(one).collect())
    }
}

fn watch(contact: Contact, inbox: Inbox, clock: Clock) -> JoinHandle<()> {
    tokio::spawn(async move {
        let (mut line, mut tried, mut failures) = (None, None::<Instant>, 0_u32);
        let mut told: Option<(Result<bool, String>, Instant)> = None;
        loop {
            let now = clock.now().mono;
            let is_due = tried.is_none_or(|tried| AGAIN <= now.since(tried));
            let (place, held) = (contact.place.clone(), line.take());
            let reading = tokio::task::spawn_blocking(move || read(&place, held, is_due)).await;
            let (read, held) = reading.unwrap_or((None, None));
            line = held;
            match &read {
                Some(Ok(_)) => failures = 0,
                Some(Err(_)) => (tried, failures) = (Some(now), failures.saturating_add(1)),
                None => {}
            }
            // A line that another task of ours is just giving back is had a second later.
            let read = read.filter(|read| read.is_ok() || 1 < failures);
            let known = told.as_ref().map(|(known, _)| known);
            let is_news = read.is_some() && read.as_ref() != known;
            let is_old = told.as_ref().is_none_or(|(_, at)| TELL_EVERY <= now.since(*at));
            if let Some(read) = read
                && (is_news || is_old)
            {
                told = Some((read.clone(), now));
                let (closed, why) = parts(read);
                let contact = contact.id.clone();
                if inbox.put(Input::Contact { contact, closed, why }).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(READ_EVERY).await;
        }
    })
}

fn parts(read: Result<bool, String>) -> (Option<bool>, String) {
    match read {
        Ok(closed) => (Some(closed), String::new()),
        Err(why) => (None, why),
    }
}

/// Whether it is closed, and the line to read again; nothing where it is too early to try again.
fn read(
    place: &ContactPlace,
    line: Option<Request>,
    is_due: bool,
) -> (Option<Result<bool, String>>, Option<Request>) {
    match place {
        ContactPlace::File { path, active_low } => {
            (Some(read_file(path).map(|level| level != *active_low)), None)
        }
        ContactPlace::Line { chip, line: number, .. } => {
            let wrong = |error: gpiocdev::Error| {
                format!("line {number} of {} cannot be read: {error}", chip.display())
            };
            let line = match (line, is_due) {
                (Some(line), _) => line,
                (None, false) => return (None, None),
                (None, true) => match request(place) {
                    Ok(line) => line,
                    Err(error) => return (Some(Err(wrong(error))), None),
                },
            };
            match line.lone_value() {
                Ok(value) => (Some(Ok(value == Value::Active)), Some(line)),
                Err(error) => (Some(Err(wrong(error))), None),
            }
        }
    }
}

fn request(place: &ContactPlace) -> Result<Request, gpiocdev::Error> {
    let ContactPlace::Line { chip, line, active_low, pull } = place else {
        return Err(gpiocdev::Error::InvalidArgument("no line".to_owned()));
    };
    let mut wanted = Request::builder();
    wanted.on_chip(chip).with_consumer("ampgate").with_line(*line).as_input();
    if *active_low {
        wanted.as_active_low();
    }
    match pull {
        None => {}
        Some(Pull::Up) => {
            wanted.with_bias(Bias::PullUp);
        }
        Some(Pull::Down) => {
            wanted.with_bias(Bias::PullDown);
        }
        Some(Pull::Off) => {
            wanted.with_bias(Bias::Disabled);
        }
    }
    wanted.request()
}

/// 0 or 1.
fn read_file(path: &Path) -> Result<bool, String> {
    use std::io::Read;
    let mut text = String::new();
    let opened = std::fs::File::open(path);
    let content = opened.and_then(|file| file.take(FILE_MAX).read_to_string(&mut text));
    content.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    match text.trim() {
        "0" => Ok(false),
        "1" => Ok(true),
        other => Err(format!("{} holds \"{other}\", expected 0 or 1", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_whether_the_contact_is_closed_and_anything_else_is_a_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("value");
        let place = |active_low| ContactPlace::File { path: path.clone(), active_low };
        let closed = |active_low| read(&place(active_low), None, true).0.expect("it is tried");
        assert!(closed(false).is_err_and(|why| why.contains("cannot be read")));
        std::fs::write(&path, "1\n").expect("a disk");
        assert_eq!((closed(false), closed(true)), (Ok(true), Ok(false)));
        std::fs::write(&path, "0").expect("a disk");
        assert_eq!((closed(false), closed(true)), (Ok(false), Ok(true)));
        std::fs::write(&path, "on").expect("a disk");
        assert!(closed(true).is_err_and(|why| why.ends_with("holds \"on\", expected 0 or 1")));
    }

    #[test]
    fn a_chip_that_is_not_there_is_a_reason_and_not_asked_for_all_the_time() {
        let place = ContactPlace::Line {
            chip: "/nowhere/gpiochip9".into(),
            line: 17,
            active_low: true,
            pull: Some(Pull::Up),
        };
        let (said, line) = read(&place, None, true);
        let why = said.expect("it is tried").expect_err("there is none");
        assert!(why.starts_with("line 17 of /nowhere/gpiochip9 cannot be read"), "{why}");
        assert!(line.is_none());
        assert!(read(&place, None, false).0.is_none(), "later again");
    }
}
