//! Floor 7: where people order who may connect (passwords, certificates, strangers to adopt), and
//! what chargers upload to this box.
//!
//! Invariants: what a charger will have to show is on disk before it is told; a password is told to
//! the one who asked, once, and is nowhere else; a configuration is written only when it is sound,
//! and is in force when the order comes back.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration as RealDuration;

use data_encoding::HEXUPPER;
use tokio::sync::oneshot;

use crate::config::{self, adopt};
use crate::controller::message::{Answer, Order};
use crate::daemon::Handle;
use crate::ground::ids::ChargePointId;
use crate::ground::time::Duration;
use crate::io::authority::Authority;
use crate::io::credentials::Credential;
use crate::io::secret::{self, Hash, KEY_BYTES};
use crate::io::uploads::Uploads;
use crate::model::ask::{Ask, AskOutcome};
use crate::model::security::{
    Adoption, CertificateAsk, ChargerSecurity, RootKind, SecurityDone, SecurityOrder, SecurityView,
};

/// A charger that has not answered after this long, in real time, does not.
const CHARGER_TIME: RealDuration = RealDuration::from_secs(75);

/// Strangers are let in for a word for at most this long.
const INTERVIEW_MIN_MAX: u32 = 24 * 60;

/// Takes orders about who may connect; cheap to clone.
#[derive(Clone, Debug)]
pub struct Desk {
    handle: Handle,
    /// The configuration that adopted chargers are written into; none where there is no file.
    file: Option<Arc<PathBuf>>,
}

impl Desk {
    /// Over a running daemon.
    pub fn new(handle: Handle, file: Option<PathBuf>) -> Self {
        Self { handle, file: file.map(Arc::new) }
    }

    /// What people may see.
    pub fn view(&self) -> SecurityView {
        let links = &self.handle.links;
        let profiles = links.profiles();
        let charger = |charge_point: ChargePointId| {
            let own = links.gate().credential(&charge_point).unwrap_or_default();
            ChargerSecurity {
                profile: profiles.get(&charge_point).copied(),
                charge_point,
                password: own.password.is_some(),
                coming_password: own.next.is_some(),
                least_profile: own.least_profile,
                wanted_profile: own.wanted_profile,
                certificate_name: own.certificate_name,
            }
        };
        let now = self.handle.clock.now().mono;
        SecurityView {
            pending: links.strangers().all(),
            interview_s: links.strangers().listens_for(now).as_seconds(),
            chargers: links.known().into_iter().map(charger).collect(),
            certificate_ends: self.handle.tls.as_ref().map(|tls| tls.server().not_after),
        }
    }

    /// Does what is ordered.
    ///
    /// # Errors
    /// Why it was not done, in words.
    pub async fn order(&self, order: SecurityOrder) -> Result<SecurityDone, String> {
        match order {
            SecurityOrder::Interview { minutes } => Ok(self.interview(minutes)),
            SecurityOrder::Adopt(adoption) => self.adopt(adoption).await,
            SecurityOrder::Password { charge_point, at_once } => {
                self.known(&charge_point)?;
                let (hash, password) = made();
                self.change(&charge_point, move |own| own.expect(hash, at_once)).await?;
                let words = format!("{charge_point} has to show it; it is not told again");
                Ok(SecurityDone { words, password: Some(password) })
            }
            SecurityOrder::Rotate { charge_point } => self.rotate(&charge_point).await,
            SecurityOrder::Profile { charge_point, profile } => {
                self.raise(&charge_point, profile).await
            }
            SecurityOrder::InstallRoot { charge_point } => {
                let (kind, certificate) = (RootKind::CentralSystem, self.root().await?);
                let install = CertificateAsk::Install { kind, certificate };
                self.certificates(&charge_point, install).await
            }
            SecurityOrder::Ask { charge_point, certificate } => {
                self.certificates(&charge_point, certificate).await
            }
            SecurityOrder::LeastProfile { charge_point, profile } => {
                self.known(&charge_point)?;
                if 3 < profile {
                    return Err(format!("profile {profile}; expected 0 to 3"));
                }
                self.change(&charge_point, move |own| own.least_profile = profile).await?;
                Ok(said(format!("{charge_point} is let in with profile {profile} or more")))
            }
            SecurityOrder::CertificateName { charge_point, name } => {
                self.known(&charge_point)?;
                if let Some(name) = &name
                    && self.handle.links.known().contains(&ChargePointId::new(name))
                {
                    return Err(format!("{name} is the identity of a charger of this site"));
                }
                self.change(&charge_point, move |own| own.certificate_name = name).await?;
                Ok(said(format!("set for {charge_point}")))
            }
        }
    }

    fn interview(&self, minutes: u32) -> SecurityDone {
        let minutes = minutes.min(INTERVIEW_MIN_MAX);
        let until = self.handle.clock.now().mono + Duration::minutes(i64::from(minutes));
        self.handle.links.strangers().listen(until);
        said(match minutes {
            0 => "strangers are turned away".to_owned(),
            minutes => format!("strangers are asked who they are for {minutes} min"),
        })
    }

    async fn adopt(&self, adoption: Adoption) -> Result<SecurityDone, String> {
        let Some(file) = self.file.clone() else {
            return Err("this daemon has no configuration file".to_owned());
        };
        let (path, wish) = (file.clone(), adoption.clone());
        let written = tokio::task::spawn_blocking(move || write(&path, &wish)).await;
        let (config, text) = written.map_err(|error| error.to_string())??;
        self.handle.reload(config, text).await;
        self.handle.links.strangers().forget(&adoption.charge_point);
        let Adoption { charge_point, node, .. } = adoption;
        Ok(said(format!("{charge_point} is under {node} in {} and may connect", file.display())))
    }

    /// Makes a password and tells it to the charger alone.
    async fn rotate(&self, charge_point: &ChargePointId) -> Result<SecurityDone, String> {
        self.known(charge_point)?;
        let own = self.handle.links.gate().credential(charge_point).unwrap_or_default();
        if own.next.is_some() {
            let why = "its coming password was not seen yet; it shows it when it connects anew";
            return Err(why.to_owned());
        }
        let (hash, digits) = made();
        self.change(charge_point, move |own| own.next = Some(hash)).await?;
        let deposit = self.handle.links.vault().deposit(digits);
        let deposit = deposit.ok_or("too many passwords are on their way; try again")?;
        let (key, value) = ("AuthorizationKey".to_owned(), deposit.name.clone());
        let asked = self.ask(charge_point, Ask::Change { key, value }).await;
        drop(deposit);
        match asked {
            Ok(outcome) if outcome.accepted => Ok(said(format!(
                "{charge_point} took it ({}); the old one is valid until it shows the new one",
                outcome.words
            ))),
            // It may have arrived or not: both stay valid.
            Ok(outcome) if outcome.status.is_empty() => Err(outcome.words),
            Ok(outcome) => {
                self.change(charge_point, |own| own.next = None).await?;
                Err(outcome.words)
            }
            Err(why) => Err(why),
        }
    }

    /// Tells a charger to take a higher security profile.
    async fn raise(
        &self,
        charge_point: &ChargePointId,
        profile: u8,
    ) -> Result<SecurityDone, String> {
        self.known(charge_point)?;
        let own = self.handle.links.gate().credential(charge_point).unwrap_or_default();
        let has_password = own.password.is_some() || own.next.is_some();
        match profile {
            1 | 2 if !has_password => return Err("it has no password yet: rotate first".to_owned()),
            2 | 3 if self.handle.tls.is_none() => return Err("listen.ocpps is closed".to_owned()),
            1..=3 => {}
            _ => return Err(format!("profile {profile}; expected 1, 2 or 3")),
        }
        self.change(charge_point, move |own| own.wanted_profile = Some(profile)).await?;
        let (key, value) = ("SecurityProfile".to_owned(), profile.to_string());
        let outcome = self.ask(charge_point, Ask::Change { key, value }).await?;
        if outcome.accepted {
            let words = outcome.words;
            return Ok(said(format!("{charge_point}: {words}; less is refused once it was seen")));
        }
        if !outcome.status.is_empty() {
            self.change(charge_point, |own| own.wanted_profile = None).await?;
        }
        Err(outcome.words)
    }

    /// Asks a charger about certificates.
    async fn certificates(
        &self,
        charge_point: &ChargePointId,
        certificate: CertificateAsk,
    ) -> Result<SecurityDone, String> {
        self.known(charge_point)?;
        let outcome = self.ask(charge_point, Ask::Certificate { certificate }).await?;
        let details = outcome.details.map(|details| format!(": {details}")).unwrap_or_default();
        match outcome.accepted {
            true => Ok(said(outcome.words + &details)),
            false => Err(outcome.words),
        }
    }

    async fn root(&self) -> Result<String, String> {
        let authority = Authority::in_data(self.handle.data());
        let read = tokio::task::spawn_blocking(move || authority.root_text()).await;
        read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    async fn ask(&self, charge_point: &ChargePointId, ask: Ask) -> Result<AskOutcome, String> {
        let order = Order::Charger { target: charge_point.to_string(), ask };
        let (reply, answer) = oneshot::channel();
        let stopping = || "the daemon is stopping".to_owned();
        self.handle.orders.send((order, reply)).await.map_err(|_| stopping())?;
        match tokio::time::timeout(CHARGER_TIME, answer).await {
            Ok(Ok(Answer::Charger { outcome })) => Ok(outcome),
            Ok(Ok(Answer::Refused { why })) => Err(why),
            Ok(Ok(_) | Err(_)) => Err(stopping()),
            Err(_) => Err("there was no answer in time".to_owned()),
        }
    }

    /// Files that chargers have uploaded.
    pub fn uploads(&self) -> &Uploads {
        self.handle.links.uploads()
    }

    /// Asks a charger to upload a file to this box.
    ///
    /// # Errors
    /// It could not be asked, in words.
    pub async fn upload(&self, target: &str, ask: Ask) -> Result<AskOutcome, String> {
        let Ask::Upload { file, from, to, .. } = ask else {
            return Err("this is no upload".to_owned());
        };
        let view = self.handle.view.borrow().clone();
        let evse = view.evses.iter().find(|evse| evse.id == target);
        let name = evse.map_or(target, |evse| evse.charge_point.as_str());
        let charge_point = ChargePointId::new(name);
        self.known(&charge_point)?;
        let base = self.handle.links.base(&charge_point);
        let base = base.ok_or_else(|| format!("{charge_point} is not connected to this box"))?;
        let invited = self.uploads().invite(&charge_point, self.handle.clock.now().mono);
        let invited = invited.ok_or("no files are kept here")?;
        let location = format!("{base}{}", invited.path);
        let ask = Ask::Upload { file, location, from, to, request: invited.number };
        let asked = self.ask(&charge_point, ask).await;
        // Without an answer it may have heard the question all the same.
        let refused = |outcome: &AskOutcome| !outcome.accepted && !outcome.status.is_empty();
        if asked.as_ref().map_or(true, refused) {
            self.uploads().withdraw(&invited);
        }
        asked
    }

    fn known(&self, charge_point: &ChargePointId) -> Result<(), String> {
        match self.handle.links.known().contains(charge_point) {
            true => Ok(()),
            false => Err(format!("{charge_point} is no charge point of this site")),
        }
    }

    async fn change(
        &self,
        charge_point: &ChargePointId,
        change: impl FnOnce(&mut Credential) + Send + 'static,
    ) -> Result<(), String> {
        let (gate, id) = (self.handle.links.gate().clone(), charge_point.clone());
        let kept = tokio::task::spawn_blocking(move || gate.change(&id, change)).await;
        let kept = kept.map_err(|error| error.to_string())?;
        kept.map_err(|error| format!("it cannot be kept: {error}"))
    }
}

/// The configuration with one more charger, written and read.
fn write(file: &Path, adoption: &Adoption) -> Result<(config::Config, String), String> {
    let name = file.display().to_string();
    let lines = || adopt::lines(adoption);
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    let text = adopt::with_evse(&text, adoption)?;
    let checked = config::parse(&text, &name).map_err(|problems| {
        let errors: Vec<String> = problems.iter().map(ToString::to_string).collect();
        format!("it does not fit into the configuration:\n{}", errors.join("\n"))
    })?;
    let mode = std::fs::metadata(file).map_or(0o640, |data| data.permissions().mode() & 0o777);
    secret::write(file, &text, mode).map_err(|error| {
        format!("{name} cannot be written ({error}); add these lines by hand:\n{}", lines())
    })?;
    Ok((checked.config, text))
}

fn made() -> (Hash, String) {
    let key = secret::random::<KEY_BYTES>();
    (Hash::of_key(&key), HEXUPPER.encode(&key))
}

fn said(words: String) -> SecurityDone {
    SecurityDone { words, password: None }
}
