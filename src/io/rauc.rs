//! RAUC over D-Bus: looks into bundles, has them written, tells the boot loader which system is
//! good. RAUC does it all; nothing here opens a bundle or a device.
//!
//! Works from RAUC 1.8 on (Debian 12), which has `Info` where later ones have `InspectBundle`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval, timeout};
use zbus::zvariant::{OwnedValue, Value};
use zbus::{Connection, connection};

use crate::update::state::{Slot, Slots};
use crate::update::{Bundle, Fault};

/// RAUC answers within this, unless it is gone.
const ANSWER_TIME: Duration = Duration::from_secs(25);

/// Looking into a plain bundle reads all of it.
const INSPECT_TIME: Duration = Duration::from_secs(600);

/// How far RAUC is, is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Words of RAUC are cut to this many letters.
const WORDS_MAX: usize = 400;

/// All that RAUC before 1.9 says over the bus of a bundle that it does not open.
const INFO_ERROR: &str = "rauc info error";

/// How RAUC answers while it writes when it is asked how the box is: it does one thing at a time.
const BUSY: &str = "already processing a different method";

type Details = BTreeMap<String, OwnedValue>;

#[zbus::proxy(
    interface = "de.pengutronix.rauc.Installer",
    default_service = "de.pengutronix.rauc",
    default_path = "/"
)]
trait Installer {
    fn install_bundle(&self, source: &str, args: BTreeMap<&str, Value<'_>>) -> zbus::Result<()>;

    fn inspect_bundle(
        &self,
        source: &str,
        args: BTreeMap<&str, Value<'_>>,
    ) -> zbus::Result<Details>;

    fn info(&self, bundle: &str) -> zbus::Result<(String, String)>;

    fn mark(&self, state: &str, slot_identifier: &str) -> zbus::Result<(String, String)>;

    fn get_slot_status(&self) -> zbus::Result<Vec<(String, Details)>>;

    fn get_primary(&self) -> zbus::Result<String>;

    #[zbus(signal)]
    fn completed(&self, result: i32) -> zbus::Result<()>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn operation(&self) -> zbus::Result<String>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn last_error(&self) -> zbus::Result<String>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn progress(&self) -> zbus::Result<(i32, String, i32)>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn compatible(&self) -> zbus::Result<String>;
}

/// The way to RAUC; cheap to clone.
#[derive(Clone, Debug)]
pub struct Rauc(InstallerProxy<'static>);

impl Rauc {
    /// Over the system bus, or the bus at this address.
    ///
    /// # Errors
    /// The bus cannot be reached, in words.
    pub async fn connect(bus: Option<&str>) -> Result<Self, String> {
        let words = |error: zbus::Error| format!("the D-Bus cannot be reached: {error}");
        let build = async {
            let builder = match bus {
                None => connection::Builder::system(),
                Some(address) => connection::Builder::address(address),
            };
            let connection: Connection = builder?.build().await?;
            InstallerProxy::new(&connection).await
        };
        match timeout(ANSWER_TIME, build).await {
            Ok(proxy) => proxy.map(Self).map_err(words),
            Err(_) => Err("the D-Bus does not answer".to_owned()),
        }
    }

    /// How the box is.
    ///
    /// # Errors
    /// RAUC does not answer, in words.
    pub async fn slots(&self) -> Result<Slots, String> {
        let ask = async {
            let (compatible, operation) = (self.0.compatible().await?, self.0.operation().await?);
            // Without a boot loader that says it, no slot is the first.
            let primary = self.0.get_primary().await.unwrap_or_default();
            let status = self.0.get_slot_status().await?;
            let is_writing = operation != "idle";
            let slots = status.into_iter().filter_map(|(name, details)| slot(name, &details));
            let mut slots: Vec<Slot> = slots.collect();
            slots.sort_by(|one, other| one.bootname.cmp(&other.bootname));
            Ok(Slots { compatible, is_writing, primary, slots })
        };
        match timeout(ANSWER_TIME, ask).await {
            Ok(slots) => slots.map_err(|error: zbus::Error| words(&error)),
            Err(_) => Err("RAUC does not answer".to_owned()),
        }
    }

    /// What is in a bundle, after its signature was checked.
    ///
    /// # Errors
    /// It is refused, or RAUC does not answer.
    pub async fn inspect(&self, file: &str) -> Result<Bundle, Fault> {
        match timeout(INSPECT_TIME, self.look_into(file)).await {
            Ok(found) => found.map_err(|error| judged(&words(&error))),
            Err(_) => Err(Fault::Trouble("RAUC does not come to an end with it".to_owned())),
        }
    }

    async fn look_into(&self, file: &str) -> zbus::Result<Bundle> {
        let found = match self.0.inspect_bundle(file, BTreeMap::new()).await {
            Err(zbus::Error::MethodError(name, ..)) if name.ends_with(".UnknownMethod") => {
                let (compatible, version) = self.0.info(file).await?;
                return Ok(Bundle { compatible, version });
            }
            found => found?,
        };
        // `update` holds what the manifest says of the update as a whole.
        let of = |key: &str| found.get("update").and_then(|update| entry(update, key));
        let (compatible, version) = (of("compatible"), of("version"));
        Ok(Bundle {
            compatible: compatible.unwrap_or_default(),
            version: version.unwrap_or_default(),
        })
    }

    /// Has a bundle written; `percent` hears how far it is.
    ///
    /// # Errors
    /// RAUC refused or failed, in its words.
    pub async fn write(&self, file: &str, percent: impl Fn(u8)) -> Result<(), Fault> {
        let trouble = |error: zbus::Error| Fault::Trouble(words(&error));
        let mut ended = self.0.receive_completed().await.map_err(trouble)?;
        let begun = timeout(ANSWER_TIME, self.0.install_bundle(file, BTreeMap::new())).await;
        begun
            .map_err(|_| Fault::Trouble("RAUC does not answer".to_owned()))?
            .map_err(|error| judged(&words(&error)))?;
        self.watch(&mut ended, percent).await
    }

    /// Follows what RAUC is writing already.
    ///
    /// # Errors
    /// It failed, in RAUC's words.
    pub async fn follow(&self, percent: impl Fn(u8)) -> Result<(), Fault> {
        let trouble = |error: zbus::Error| Fault::Trouble(words(&error));
        let mut ended = self.0.receive_completed().await.map_err(trouble)?;
        self.watch(&mut ended, percent).await
    }

    async fn watch(&self, ended: &mut CompletedStream, percent: impl Fn(u8)) -> Result<(), Fault> {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut idle = 0;
        loop {
            tokio::select! {
                signal = ended.next() => {
                    let Some(signal) = signal else {
                        return Err(Fault::Trouble("the D-Bus is gone".to_owned()));
                    };
                    let failed = signal.args().map_or(1, |args| args.result) != 0;
                    return if failed { Err(self.last_fault().await) } else { Ok(()) };
                }
                _ = look.tick() => {
                    let asked = timeout(ANSWER_TIME, self.0.progress()).await;
                    let Ok(Ok((done, _, _))) = asked else {
                        let why = "RAUC has ended while it was writing".to_owned();
                        return Err(Fault::Trouble(why));
                    };
                    percent(u8::try_from(done.clamp(0, 100)).unwrap_or(0));
                    // The end may have been told before anybody listened.
                    let is_idle = self.0.operation().await.is_ok_and(|word| word == "idle");
                    idle = if is_idle { idle + 1 } else { 0 };
                    if 2 <= idle {
                        let why = self.0.last_error().await.unwrap_or_default();
                        return if why.is_empty() { Ok(()) } else { Err(judged(&why)) };
                    }
                }
            }
        }
    }

    async fn last_fault(&self) -> Fault {
        match self.0.last_error().await {
            Ok(why) if !why.is_empty() => judged(&why),
            _ => Fault::Trouble("RAUC has failed and does not say why".to_owned()),
        }
    }

    /// Tells the boot loader: `good`, `bad` or `active`; `booted` or `other`.
    ///
    /// # Errors
    /// RAUC's words.
    pub async fn mark(&self, state: &str, slot: &str) -> Result<(), String> {
        match timeout(ANSWER_TIME, self.0.mark(state, slot)).await {
            Ok(marked) => marked.map(|_| ()).map_err(|error| words(&error)),
            Err(_) => Err("RAUC does not answer".to_owned()),
        }
    }
}

/// Whether RAUC is there and has something else to do.
pub fn is_busy(why: &str) -> bool {
    why.contains(BUSY)
}

/// A slot that the box can start from; none for others.
fn slot(name: String, details: &Details) -> Option<Slot> {
    let bootname = text(details, "bootname").filter(|bootname| !bootname.is_empty())?;
    let is_whole = text(details, "status").is_none_or(|status| status == "ok");
    Some(Slot {
        bootname,
        name,
        version: text(details, "bundle.version").filter(|_| is_whole),
        booted: text(details, "state").is_some_and(|state| state == "booted"),
        good: text(details, "boot-status").is_none_or(|status| status == "good"),
    })
}

/// The text at `key` of a dictionary.
fn entry(value: &Value<'_>, key: &str) -> Option<String> {
    match value {
        Value::Value(inner) => entry(inner, key),
        Value::Dict(dict) => {
            let text = |value: &Value<'_>| value.downcast_ref::<&str>().ok().map(str::to_owned);
            let found = dict.iter().find(|(name, _)| text(name).as_deref() == Some(key));
            found.and_then(|(_, value)| text(value))
        }
        _ => None,
    }
}

fn text(details: &Details, key: &str) -> Option<String> {
    details.get(key)?.downcast_ref::<&str>().ok().map(str::to_owned)
}

fn words(error: &zbus::Error) -> String {
    let text = match error {
        zbus::Error::MethodError(name, why, _) => match (name.as_str(), why) {
            ("org.freedesktop.DBus.Error.ServiceUnknown", _) => "RAUC is not running".to_owned(),
            ("org.freedesktop.DBus.Error.AccessDenied", _) => {
                "the D-Bus does not let this user talk to RAUC (its policy file is missing)"
                    .to_owned()
            }
            (_, Some(why)) => why.clone(),
            (name, None) => name.to_owned(),
        },
        other => other.to_string(),
    };
    text.chars().filter(|letter| !letter.is_control()).take(WORDS_MAX).collect()
}

/// What RAUC says of a bundle that will never do, and what may be otherwise next time.
fn judged(why: &str) -> Fault {
    let lower = why.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if lower == INFO_ERROR {
        let why =
            "its signature is not trusted here, or it is no whole bundle: RAUC's log says which";
        return Fault::Refused(why.to_owned());
    }
    if has(&["signature", "certificate", "cms", "verif", "keyring"]) {
        return Fault::Refused(format!("its signature is not trusted here: {why}"));
    }
    if has(&["compatible"]) {
        return Fault::Refused(format!("it is for other hardware: {why}"));
    }
    if has(&["version", "manifest", "invalid bundle", "no such file", "not supported"]) {
        return Fault::Refused(why.to_owned());
    }
    Fault::Trouble(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_rauc_are_judged() {
        let refused = [
            "Failed to verify signature: self-signed certificate",
            "CMS verification failure",
            "Compatible mismatch: Expected 'a' but bundle manifest has 'b'",
            "Version mismatch: Expected at least '2.0.0'",
            "Failed to open bundle: No such file or directory",
        ];
        for why in refused {
            assert!(matches!(judged(why), Fault::Refused(words) if words.contains(why)), "{why}");
        }
        let passing = "Failed mounting bundle: no space left";
        assert_eq!(judged(passing), Fault::Trouble(passing.to_owned()));
        assert!(is_busy("already processing a different method") && !is_busy(passing));
    }

    #[test]
    fn a_slot_that_is_half_written_has_no_version() {
        let details = |status: &str| {
            let pairs = [("bootname", "A"), ("bundle.version", "2.0.0"), ("status", status)];
            let owned = |text: &str| OwnedValue::try_from(Value::from(text)).expect("a text");
            pairs.into_iter().map(|(key, text)| (key.to_owned(), owned(text))).collect::<Details>()
        };
        let of =
            |status| slot("rootfs.0".to_owned(), &details(status)).expect("it has a boot name");
        assert_eq!(of("ok").version.as_deref(), Some("2.0.0"));
        assert_eq!(of("pending").version, None);
        assert_eq!(slot("data.0".to_owned(), &Details::new()), None);
    }
}
