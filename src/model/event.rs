//! The event catalogue: everything worth telling a person, each with an id and a severity.

use serde::{Deserialize, Serialize};

use crate::ground::time::Utc;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A change of state that a person cares about.
    Info,
    /// Worth a look when there is time.
    Warning,
    /// Worth a call.
    Alarm,
}

macro_rules! catalogue {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $severity:ident;)+) => {
        /// What happened. The code is stable: scripts may rely on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum EventKind {
            $($(#[doc = $doc])+ $name,)+
        }

        impl EventKind {
            /// Every kind, in the order of the catalogue.
            pub const ALL: &[EventKind] = &[$(EventKind::$name,)+];

            /// The stable code, e.g. `link.up`.
            pub const fn code(self) -> &'static str {
                match self { $(EventKind::$name => $code,)+ }
            }

            /// How much it matters.
            pub const fn severity(self) -> Severity {
                match self { $(EventKind::$name => Severity::$severity,)+ }
            }

            /// What it means, as the manual has it.
            pub const fn meaning(self) -> &'static str {
                match self { $(EventKind::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

catalogue! {
    /// The daemon has started or a site has been loaded.
    Started = "daemon.started", Info;
    /// The program died several times; it stays at safe shares, without broker, plans and partners.
    Failsafe = "daemon.failsafe", Alarm;
    /// The daemon ends in order.
    Stopping = "daemon.stopping", Info;
    /// A new configuration is in force.
    Reconfigured = "config.loaded", Info;
    /// A new configuration was refused; the old one stays in force.
    ConfigRefused = "config.refused", Alarm;
    /// A charge point has connected.
    LinkUp = "link.up", Info;
    /// A charge point's connection is gone.
    LinkDown = "link.down", Warning;
    /// A second connection with one identity; the newest is used.
    LinkReplaced = "link.replaced", Warning;
    /// A charger with an identity that is not in the configuration tried to connect.
    UnknownIdentity = "link.unknown_identity", Warning;
    /// A connection was refused before it could speak OCPP.
    HandshakeRefused = "link.handshake_refused", Warning;
    /// A charger showed no password, or not the right one.
    LoginRefused = "link.login_refused", Warning;
    /// A charger showed a certificate that does not count here, or another's.
    CertificateRefused = "link.certificate_refused", Warning;
    /// A charger tells a security event of its own.
    ChargerSecurity = "charger.security", Warning;
    /// A charger has shown its coming password; the old one is not valid any more.
    PasswordSeen = "security.password_seen", Info;
    /// A charger was seen on the security profile that it was told to take.
    ProfileSeen = "security.profile_seen", Info;
    /// The files with passwords or certificates cannot be used; what was in force stays.
    SecretsUnusable = "security.secrets_unusable", Alarm;
    /// A certificate or the passwords were read anew.
    SecretsLoaded = "security.secrets_loaded", Info;
    /// A certificate of this box ends soon, or has ended.
    CertificateEnds = "security.certificate_ends", Alarm;
    /// A user of the page was added, removed, or has another role or password.
    UserChanged = "security.user_changed", Info;
    /// Somebody has logged in at the page.
    UserLogin = "security.user_login", Info;
    /// A name or password at the page or the API was wrong, or too many were.
    UserLoginRefused = "security.user_login_refused", Warning;
    /// An address holds as many connections as it may, or all are taken; more are turned away.
    Crowded = "security.crowded", Warning;
    /// The page is not open beyond this machine; the text says what is missing.
    PageShut = "security.page_shut", Warning;
    /// A charge point answers nothing though it is connected; it is made to reconnect.
    Deaf = "link.deaf", Warning;
    /// A charge point has told who it is.
    Booted = "charger.booted", Info;
    /// A person has asked something of a charger; the text says what and what came of it.
    ChargerAsked = "charger.asked", Info;
    /// How far an upload or a firmware update of a charger is.
    ChargerJob = "charger.job", Info;
    /// An upload or a firmware update of a charger has failed.
    ChargerJobFailed = "charger.job_failed", Warning;
    /// A firmware campaign has begun, was called off, or a charger of it is done.
    Campaign = "firmware.campaign", Info;
    /// A charger of a firmware campaign has not got its firmware.
    CampaignFailed = "firmware.failed", Warning;
    /// A frame could not be understood or had to be repaired.
    FrameRepaired = "ocpp.repaired", Info;
    /// A frame could not be used at all.
    FrameRefused = "ocpp.refused", Warning;
    /// A charger has reported an error.
    ChargerFault = "charger.fault", Warning;
    /// A charger refused its limit in every form we know.
    LimitRefused = "limit.refused", Alarm;
    /// A charger draws more than it was told.
    LimitIgnored = "limit.ignored", Alarm;
    /// A charger that ignored its limit obeys again.
    LimitObeyed = "limit.obeyed", Info;
    /// Somebody outside has set a limit or taken it back, or a limit has run out.
    OuterLimit = "limit.outside", Info;
    /// A limit from outside could not be taken; the text says why.
    OuterLimitRefused = "limit.outside_refused", Warning;
    /// A contact that limits cannot be read or does not come to rest: its limit holds meanwhile.
    ContactUnsure = "limit.contact_unsure", Warning;
    /// A charger did not prove that it falls to its safe share by itself.
    FailsafeUnproven = "failsafe.unproven", Alarm;
    /// A charger has proved that it falls to its safe share by itself.
    FailsafeArmed = "failsafe.armed", Info;
    /// A charger ended a charge when it should only have paused; it is started again.
    PauseEnded = "charger.pause_ended", Warning;
    /// A commissioning drill has begun: a charger must fall to its safe share by itself.
    DrillBegun = "drill.begun", Info;
    /// A charger was seen to fall to its safe share by itself.
    DrillPassed = "drill.passed", Info;
    /// A charger did not fall to its safe share; its limit counts for ever.
    DrillFailed = "drill.failed", Alarm;
    /// A drill ended before it could prove anything.
    DrillBroken = "drill.broken_off", Warning;
    /// A charger restarts because a changed setting needs it; no car was charging.
    RestartForChange = "charger.restart", Info;
    /// A transaction has started.
    SessionStarted = "session.started", Info;
    /// A transaction has ended.
    SessionEnded = "session.ended", Info;
    /// A transaction was taken over from a charger's offline queue.
    SessionReplayed = "session.replayed", Info;
    /// The end of a transaction never came; it was closed at its last reading.
    StopLost = "session.stop_lost", Warning;
    /// A stop for a transaction that nobody knows; kept as evidence.
    StopUnknown = "session.stop_unknown", Warning;
    /// A driver, or somebody for them, has said what a session needs, or took it back.
    PreferenceChanged = "session.preference", Info;
    /// What was learned of a driver, or of all of them, was deleted because somebody asked for it.
    Forgotten = "learned.forgotten", Info;
    /// Something that was learned could not be read from the store; it is learned anew.
    LearnedLost = "learned.lost", Warning;
    /// A token was refused.
    TokenRefused = "token.refused", Info;
    /// An EVSE is kept for a token.
    Reserved = "reservation.made", Info;
    /// A reservation was used, has run out or was given up.
    ReservationEnded = "reservation.ended", Info;
    /// A charger refused a reservation.
    ReservationRefused = "reservation.refused", Warning;
    /// A charger took its list of tokens.
    ListSent = "list.sent", Info;
    /// A charger could not be given its list of tokens; it asks for each while it is connected.
    ListRefused = "list.refused", Warning;
    /// A meter has fallen silent; the worst load is assumed behind it.
    MeterSilent = "meter.silent", Alarm;
    /// A meter is heard again.
    MeterHeard = "meter.heard", Info;
    /// A message of a meter could not be read.
    MeterUnreadable = "meter.unreadable", Warning;
    /// The broker is connected.
    BrokerUp = "broker.up", Info;
    /// The broker is gone.
    BrokerDown = "broker.down", Warning;
    /// A node carries more than its rating though all chargers are down; the load is not ours. For
    /// five minutes after a start, chargers that are still to come do not count.
    Overload = "node.overload", Alarm;
    /// A node is inside its rating again.
    OverloadOver = "node.overload_over", Info;
    /// The solver made no plan, or the audit refused it; an instant plan is followed.
    PlanFailed = "plan.failed", Warning;
    /// A forecast or price from outside was refused; the text says what is wrong with it.
    FeedRefused = "forecast.refused", Warning;
    /// A forecast or price from outside cannot be had, or has run out.
    FeedSilent = "forecast.silent", Warning;
    /// A forecast or price from outside is there again.
    FeedHeard = "forecast.heard", Info;
    /// The store cannot write; the site goes on and facts wait in memory.
    StoreFailed = "store.failed", Alarm;
    /// The store writes again.
    StoreWorks = "store.works", Info;
    /// A person asked for a backup; the text says what came of it.
    BackupWritten = "store.backup", Info;
    /// A backup was put in place of the store; the files of before are kept.
    Restored = "store.restored", Warning;
    /// There is an update for this box.
    UpdateFound = "update.found", Info;
    /// An update is here and waits; the text says for what.
    UpdateWaiting = "update.waiting", Info;
    /// An update is in the other slot; the box has to start anew.
    UpdateInstalled = "update.installed", Info;
    /// The box runs a version for the first time; it is confirmed once the site works again.
    UpdateTrial = "update.trial", Info;
    /// A version was confirmed.
    UpdateConfirmed = "update.confirmed", Info;
    /// A version was left; the box goes back to what ran before, or is back there.
    UpdateRolledBack = "update.rolled_back", Alarm;
    /// An update was refused or given up; nothing has changed.
    UpdateFailed = "update.failed", Warning;
    /// RAUC or a server for updates does not answer, or something is tried again later.
    UpdateTrouble = "update.trouble", Warning;
    /// A token A was made for a partner, so that it can register.
    PartnerInvited = "partner.invited", Info;
    /// A partner is registered: both sides have tokens and endpoints of each other.
    PartnerRegistered = "partner.registered", Info;
    /// A partner is registered no longer.
    PartnerRemoved = "partner.removed", Warning;
    /// A partner does not answer; what it must know waits as state.
    PartnerDown = "partner.down", Warning;
    /// A partner answers again.
    PartnerUp = "partner.up", Info;
    /// A partner refused our token, an object or a registration.
    PartnerRefused = "partner.refused", Alarm;
    /// A partner sent something that had to be mended or left out.
    PartnerOdd = "partner.odd", Info;
    /// Somebody called the OCPI interface with a token that is not known.
    PartnerUnknown = "partner.unknown", Warning;
    /// The clock is trusted from here on.
    ClockTrusted = "clock.trusted", Info;
    /// The clock was stepped.
    ClockStepped = "clock.stepped", Warning;
}

/// One event: what, about whom, in words, when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The charge point, EVSE, meter or node it is about; empty for the site itself.
    pub subject: String,
    /// The details in one line of plain words.
    pub text: String,
    /// When; absent while the clock is not trusted.
    pub at: Option<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_meanings_are_sentences() {
        let mut codes: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), EventKind::ALL.len());
        for kind in EventKind::ALL {
            assert!(kind.meaning().trim().ends_with('.'), "{}", kind.code());
        }
    }
}
