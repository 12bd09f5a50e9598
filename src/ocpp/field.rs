//! The deviations that were met in the field, as data: each with where it was reported and what
//! becomes of it here. `tests/ocpp_quirks.rs` plays every row.
//!
//! What is done about one is code where that code belongs (`repair`, `metering`, `lease`, `boot`,
//! and rows for single models in `quirk`); this table is how people and tests name it.

/// A deviation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldQuirk {
    /// Its number, from 1.
    pub number: usize,
    /// What it is called in events and tests.
    pub name: &'static str,
    /// Where it was reported.
    pub seen: &'static str,
    /// What becomes of it.
    pub done: &'static str,
}

const fn row(
    number: usize,
    name: &'static str,
    seen: &'static str,
    done: &'static str,
) -> FieldQuirk {
    FieldQuirk { number, name, seen, done }
}

/// All of them, in the order of their numbers.
pub const FIELD_QUIRKS: [FieldQuirk; 42] = [
    row(1, "no-subprotocol", "lbbrhzn/ocpp#442, steve#1109", "served without the header"),
    row(
        2,
        "no-upgrade-header",
        "lbbrhzn/ocpp PR#1984",
        "cannot be served; the reason is logged in words",
    ),
    row(
        3,
        "identity-in-url",
        "evcc#10371, evcc PR#10195",
        "the last segment that is not empty counts",
    ),
    row(4, "reserved-bits", "ocpp-go#358", "the connection is closed, all that is known stays"),
    row(
        5,
        "no-boot-on-reconnect",
        "evcc charger/ocpp/cp.go, evcc PR#25069",
        "nothing waits for a BootNotification",
    ),
    row(6, "no-answer-to-profile", "lbbrhzn/ocpp#2158", "the next way of telling a limit is tried"),
    row(
        7,
        "profile-refused",
        "lbbrhzn/ocpp#1245, #221, #877",
        "the ladder of profiles, with the charger's hint told",
    ),
    row(
        8,
        "zero-ends-transaction",
        "evcc#29272, evcc PR#33020",
        "started again when there is room for the car",
    ),
    row(
        9,
        "limit-after-zero-ignored",
        "goecharger API-v2#155",
        "an ignored limit is seen by measured current",
    ),
    row(10, "no-restart-after-stop", "evcc PR#12861", "a pause is a limit of 0, never a stop"),
    row(
        11,
        "stack-level-zero-only",
        "evcc#4957, evcc#15493, lbbrhzn/ocpp#1737",
        "top level, then 1, then 0; what works is remembered",
    ),
    row(12, "clear-unknown", "goecharger API-v2#187", "nothing to clear is as good as cleared"),
    row(
        13,
        "relative-only",
        "evcc template ocpp-wallbox, evcc PR#16430",
        "absolute, then relative; a row for known models",
    ),
    row(
        14,
        "unit-spelling",
        "evcc cp_setup.go, goecharger API-v2#105",
        "units in every spelling; the other one is tried",
    ),
    row(
        15,
        "phases-ignored",
        "goecharger API-v2#154, evcc PR#4946",
        "no limit relies on numberPhases where three phases are meant",
    ),
    row(
        16,
        "connector-zero-refused",
        "lbbrhzn/ocpp ocppv16.py",
        "connector 0, then each connector",
    ),
    row(17, "odd-composite", "evcc PR#15028", "an odd schedule proves nothing and breaks nothing"),
    row(
        18,
        "huge-transaction",
        "steve#740, ocpp-go#188, lbbrhzn/ocpp#45",
        "numbers of any size; values go by connector",
    ),
    row(
        19,
        "transaction-minus-one",
        "libocpp#495, open-ocpp#24",
        "accepted, matched by connector and time",
    ),
    row(
        20,
        "start-sent-again",
        "steve#81, #955, #1294, mobilityhouse/ocpp#186",
        "the same start gets the same number",
    ),
    row(21, "security-storm", "open-ocpp#37, ocpp-go#169", "security events are always answered"),
    row(
        22,
        "long-strings",
        "lbbrhzn/ocpp#213, mobilityhouse/ocpp#122",
        "texts up to 1 KiB are taken as they are",
    ),
    row(23, "empty-strings", "evcc#32170, lbbrhzn/ocpp#1414", "an empty text is an absent one"),
    row(
        24,
        "no-return-after-close",
        "lbbrhzn/ocpp#1975, SmartEVSE-3.5#202",
        "the connection is dropped without a Close",
    ),
    row(
        25,
        "unknown-word",
        "lbbrhzn/ocpp#1248, #1576",
        "words are open: an unknown one is kept and told",
    ),
    row(
        26,
        "number-as-value",
        "lbbrhzn/ocpp#210, mobilityhouse/ocpp#243",
        "numbers and padded texts are read",
    ),
    row(
        27,
        "unit-wrong",
        "lbbrhzn/ocpp#18, #1617, #1989, OpenEVSE#703",
        "defaults, and physics decides",
    ),
    row(28, "current-on-neutral", "lbbrhzn/ocpp#1311, PR#1925", "what is missing is derived"),
    row(
        29,
        "naive-time",
        "evcc#10399, monta-emulator#5, MicroOcpp#311",
        "times in every dialect, else the time of arrival",
    ),
    row(30, "time-format", "lbbrhzn/ocpp#512", "currentTime in whole seconds with Z"),
    row(31, "no-pong", "lbbrhzn/ocpp#211, PR#140", "any frame is a sign of life"),
    row(
        32,
        "connector-zero-status",
        "steve#327, ev-server#53",
        "each connector is asked for its status",
    ),
    row(
        33,
        "measurands-refused",
        "connectorio PR#147, lbbrhzn/ocpp#1363",
        "shorter lists are tried, none is left behind",
    ),
    row(
        34,
        "availability-breaks",
        "evcc template en-plus",
        "availability is changed only when a person says so",
    ),
    row(35, "fractional-register", "shiv3 PR#83", "registers are rounded"),
    row(
        36,
        "stop-without-start",
        "connectorio PR#199",
        "accepted and told as energy without a session",
    ),
    row(
        37,
        "extra-fields",
        "evcc#14579, evcc#8116",
        "unknown fields are ignored, vendors answered",
    ),
    row(
        38,
        "no-power-when-idle",
        "evcc connector.go",
        "no value while nobody charges is no trouble",
    ),
    row(
        39,
        "no-full-configuration",
        "VCP#65, SAP e-mobility#1364",
        "the needed keys are asked for by name",
    ),
    row(40, "boot-loop", "evcc#30113", "the configuration is gone through once in ten minutes"),
    row(41, "socket-per-message", "openWB ocpp.py", "sessions do not belong to a connection"),
    row(42, "many-periods", "ev-server#4146", "no more than two periods are ever sent"),
];
