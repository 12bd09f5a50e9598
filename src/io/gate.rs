//! Who may come in as a charge point: security profiles 0 to 3 (OCPP 1.6 security whitepaper §2).
//!
//! ```text
//! certificate from a trusted root, with its identity ─▶ profile 3
//! password over TLS ─▶ profile 2        password without ─▶ profile 1
//! neither, from an open network, and none was ever set ─▶ profile 0
//! ```
//! Invariants: a charger that has a password never comes in without it, wherever it is; it never
//! comes in below its least profile; a password that was right once costs one HMAC after that, so a
//! storm of reconnects costs no Argon2; a slow look is one at a time; what is guessed wrongly too
//! often from one address is not looked at any more, while those who know their password from
//! there still get in.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::hmac;
use tokio::sync::Mutex as AsyncMutex;

use crate::config::network::OpenNetwork;
use crate::ground::ids::ChargePointId;
use crate::ground::time::{Duration, Instant};

use super::credentials::{Credential, CredentialFile, Credentials, Which};
use super::secret::{Hash, canonical, random};

/// Wrong passwords from one address …
const WRONG_MAX: u32 = 10;

/// … within this time, before its guesses are no longer looked at.
const WRONG_WITHIN: Duration = Duration::minutes(1);

/// Addresses of which wrong passwords are counted; the oldest are forgotten.
const ADDRESSES_MAX: usize = 1024;

/// A password is at most this long; the whitepaper has 20 bytes, as digits 40.
const PASSWORD_BYTES_MAX: usize = 256;

/// What a charger shows at the door.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The connection is inside TLS.
    pub encrypted: bool,
    /// The names in its certificate, which a trusted root has signed.
    pub certificate: Option<Vec<String>>,
    /// User and password as they were sent: the bytes behind `Basic`, decoded.
    pub login: Option<Vec<u8>>,
}

/// Why it may not come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It shows no password, or one where none was set.
    NoPassword(String),
    /// The password is wrong.
    WrongPassword,
    /// Too many wrong passwords came from its address.
    TooOften,
    /// Its certificate is another's.
    Certificate(String),
    /// It comes with less than it is known to be able to do.
    TooWeak(String),
}

/// What followed from letting a charger in, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// Its coming password was seen and is the only one from here on.
    Password,
    /// It was seen on the profile it was told to take, which is its least from here on.
    Profile(u8),
    /// The file of passwords cannot be written, so the old one stays valid.
    NotKept(String),
}

/// A charger that may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The security profile it came with.
    pub profile: u8,
    /// What followed.
    pub followed: Vec<Followed>,
}

/// Knows who may come in; cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    file: CredentialFile,
    rules: Mutex<Arc<Rules>>,
    memory: Mutex<Memory>,
    /// For what is remembered of right passwords; dies with the process.
    key: hmac::Key,
    /// Held during a slow look.
    slow: AsyncMutex<()>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Gate(…)")
    }
}

#[derive(Default)]
struct Rules {
    open: Vec<OpenNetwork>,
    credentials: Credentials,
}

#[derive(Default)]
struct Memory {
    /// Right passwords: the hash that each satisfied, and its tag under the key of this process.
    right: BTreeMap<ChargePointId, (Hash, Vec<u8>)>,
    wrong: BTreeMap<IpAddr, (u32, Instant)>,
}

impl Gate {
    /// With the passwords of this file; nobody's where there is none.
    ///
    /// # Errors
    /// The file cannot be read, or others can read it.
    pub fn new(file: CredentialFile, open: Vec<OpenNetwork>) -> io::Result<Self> {
        let credentials = file.read()?;
        Ok(Self(Arc::new(Inner {
            file,
            rules: Mutex::new(Arc::new(Rules { open, credentials })),
            memory: Mutex::default(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()),
            slow: AsyncMutex::new(()),
        })))
    }

    /// Other networks may come in without a password from here on.
    pub fn open_networks(&self, open: Vec<OpenNetwork>) {
        let credentials = self.rules().credentials.clone();
        self.put(Rules { open, credentials });
    }

    /// Reads the passwords again. True when they are others.
    ///
    /// # Errors
    /// As for [`Gate::new`]; what was in force stays.
    pub fn refresh(&self) -> io::Result<bool> {
        let credentials = self.0.file.read()?;
        let rules = self.rules();
        let changed = credentials != rules.credentials;
        if changed {
            self.put(Rules { open: rules.open.clone(), credentials });
        }
        Ok(changed)
    }

    /// Changes what one charger has to show. Blocks on the disk.
    ///
    /// # Errors
    /// It cannot be kept; nothing has changed then.
    pub fn change(
        &self,
        charge_point: &ChargePointId,
        change: impl FnOnce(&mut Credential),
    ) -> io::Result<()> {
        let credentials = self.0.file.change(charge_point, change)?;
        let open = self.rules().open.clone();
        self.put(Rules { open, credentials });
        Ok(())
    }

    /// What one charger has to show.
    pub fn credential(&self, charge_point: &ChargePointId) -> Option<Credential> {
        self.rules().credentials.of(charge_point).cloned()
    }

    /// Whether a charge point of the site may come in with this.
    ///
    /// # Errors
    /// Why not.
    pub async fn admit(
        &self,
        charge_point: &ChargePointId,
        from: IpAddr,
        now: Instant,
        shown: &Shown,
    ) -> Result<Admitted, Denied> {
        let rules = self.rules();
        let nothing = Credential::default();
        let credential = rules.credentials.of(charge_point).unwrap_or(&nothing);
        if let Some(names) = &shown.certificate {
            return match holds(names, charge_point, credential) {
                true => Ok(self.admitted(charge_point, credential, 3, None).await),
                false => Err(Denied::Certificate(format!(
                    "its certificate is for {}, expected its identity",
                    names.join(", ")
                ))),
            };
        }
        let is_set = credential.password.is_some();
        let looked = match &shown.login {
            Some(login) if is_set || credential.next.is_some() => {
                Some(self.look(charge_point, credential, login, from, now).await)
            }
            _ => None,
        };
        let (profile, which) = match looked {
            Some(Ok(which)) => (if shown.encrypted { 2 } else { 1 }, Some(which)),
            Some(Err(denied)) if is_set => return Err(denied),
            None if is_set => {
                return Err(Denied::NoPassword("it shows no password".to_owned()));
            }
            // A coming first password binds nobody before it was seen.
            _ if rules.is_open(from) => (0, None),
            Some(Err(denied)) => return Err(denied),
            None => {
                let why = "no password was set for it, and its network is not open \
                           (ampgate charger password, or [[security.open_network]])";
                return Err(Denied::NoPassword(why.to_owned()));
            }
        };
        if profile < credential.least_profile {
            return Err(Denied::TooWeak(format!(
                "it comes with security profile {profile}, expected {} or more",
                credential.least_profile
            )));
        }
        Ok(self.admitted(charge_point, credential, profile, which).await)
    }

    /// Which of its passwords it shows.
    async fn look(
        &self,
        charge_point: &ChargePointId,
        credential: &Credential,
        login: &[u8],
        from: IpAddr,
        now: Instant,
    ) -> Result<Which, Denied> {
        let stem = [charge_point.as_str().as_bytes(), b":"].concat();
        let password = login.strip_prefix(stem.as_slice());
        let Some(password) = password.filter(|word| word.len() <= PASSWORD_BYTES_MAX) else {
            return Err(self.wrong(from, now));
        };
        let password = canonical(password);
        let known = [(&credential.password, Which::Current), (&credential.next, Which::Next)];
        let known = known.into_iter().filter_map(|(hash, which)| Some((hash.as_ref()?, which)));
        let known: Vec<(&Hash, Which)> = known.collect();
        let tagged = [stem, password.clone()].concat();
        for (hash, which) in &known {
            if self.was_right(charge_point, hash, &tagged) {
                return Ok(*which);
            }
        }
        for (hash, which) in known {
            if hash.is_slow() {
                if self.is_too_often(from, now) {
                    return Err(Denied::TooOften);
                }
                if !self.look_slowly(hash.clone(), password.clone()).await {
                    continue;
                }
            } else if !hash.matches(&password) {
                continue;
            }
            let tag = hmac::sign(&self.0.key, &tagged).as_ref().to_vec();
            self.memory().right.insert(charge_point.clone(), (hash.clone(), tag));
            return Ok(which);
        }
        Err(self.wrong(from, now))
    }

    async fn look_slowly(&self, hash: Hash, password: Vec<u8>) -> bool {
        let _one_at_a_time = self.0.slow.lock().await;
        tokio::task::spawn_blocking(move || hash.matches(&password)).await.unwrap_or(false)
    }

    fn was_right(&self, charge_point: &ChargePointId, hash: &Hash, tagged: &[u8]) -> bool {
        let memory = self.memory();
        let Some((right, tag)) = memory.right.get(charge_point) else { return false };
        right == hash && hmac::verify(&self.0.key, tagged, tag).is_ok()
    }

    fn is_too_often(&self, from: IpAddr, now: Instant) -> bool {
        let memory = self.memory();
        memory
            .wrong
            .get(&from)
            .is_some_and(|(times, since)| WRONG_MAX <= *times && now.since(*since) < WRONG_WITHIN)
    }

    /// Counts a wrong password.
    fn wrong(&self, from: IpAddr, now: Instant) -> Denied {
        let mut memory = self.memory();
        if ADDRESSES_MAX <= memory.wrong.len() && !memory.wrong.contains_key(&from) {
            let oldest = memory.wrong.iter().min_by_key(|(_, (_, since))| *since);
            let oldest = oldest.map(|(address, _)| *address);
            oldest.and_then(|address| memory.wrong.remove(&address));
        }
        let (times, since) = memory.wrong.entry(from).or_insert((0, now));
        if WRONG_WITHIN <= now.since(*since) {
            (*times, *since) = (0, now);
        }
        *times += 1;
        if WRONG_MAX < *times { Denied::TooOften } else { Denied::WrongPassword }
    }

    /// Lets in, and keeps what was seen for the first time.
    async fn admitted(
        &self,
        charge_point: &ChargePointId,
        credential: &Credential,
        profile: u8,
        which: Option<Which>,
    ) -> Admitted {
        let rolls = which == Some(Which::Next);
        let rises = credential.wanted_profile.is_some_and(|wanted| wanted <= profile);
        let mut followed = Vec::new();
        if rolls || rises {
            let (gate, id) = (self.clone(), charge_point.clone());
            let kept = tokio::task::spawn_blocking(move || {
                gate.change(&id, |own| {
                    if rolls {
                        own.password = own.next.take().or_else(|| own.password.take());
                    }
                    if rises && let Some(wanted) = own.wanted_profile.take() {
                        own.least_profile = own.least_profile.max(wanted);
                    }
                })
            });
            match kept.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
                Ok(()) => {
                    followed.extend(rolls.then_some(Followed::Password));
                    followed.extend(rises.then_some(Followed::Profile(profile)));
                }
                Err(error) => followed.push(Followed::NotKept(error.to_string())),
            }
        }
        Admitted { profile, followed }
    }

    fn rules(&self) -> Arc<Rules> {
        // Rules are replaced as a whole, so a panic elsewhere leaves nothing half done.
        self.0.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, rules: Rules) {
        *self.0.rules.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rules {
    /// This machine itself is always open: whoever is on it needs no charger's identity.
    fn is_open(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        from.is_loopback() || self.open.iter().any(|open| open.network.contains(from))
    }
}

/// Whether a certificate with these names is this charger's.
fn holds(names: &[String], charge_point: &ChargePointId, credential: &Credential) -> bool {
    let also = credential.certificate_name.as_deref();
    names.iter().any(|name| name == charge_point.as_str() || Some(name.as_str()) == also)
}
