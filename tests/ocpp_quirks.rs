//! Every deviation of `ocpp::field`, played: what the charger does, and what must come of it.

mod ocpp_script;

use std::collections::BTreeMap;

use ampgate::ocpp::field::FIELD_QUIRKS;
use ocpp_script::{Script, setup};

/// How a deviation is played.
enum Play {
    /// By a charger that is ready.
    Ready(&'static str),
    /// By one that has never been heard.
    Fresh(&'static str),
    /// By a test that has more than a script: its file and function.
    Test(&'static str),
}

/// A deviation: how it is played, what must be in the transcript, and what must not.
type Case = (usize, Play, &'static [&'static str], &'static [&'static str]);

const BOOT: &str = r#"< [2,"1","BootNotification",{"chargePointVendor":"Acme","chargePointModel":"One","firmwareVersion":"1.0"}]"#;

const KEYS: &str = r#"{"configurationKey":[{"key":"ChargeProfileMaxStackLevel","readonly":true,"value":"8"},{"key":"ChargingScheduleAllowedChargingRateUnit","readonly":true,"value":"Current"},{"key":"MeterValueSampleInterval","readonly":false,"value":"10"},{"key":"HeartbeatInterval","readonly":false,"value":"300"},{"key":"MeterValuesSampledData","readonly":false,"value":"Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,Current.Offered"}]}"#;

const WATTS: &str = r#"{"configurationKey":[{"key":"ChargeProfileMaxStackLevel","value":"1"},{"key":"ChargingScheduleAllowedChargingRateUnit","value":"W"},{"key":"MeterValueSampleInterval","value":"10"},{"key":"HeartbeatInterval","value":"300"},{"key":"MeterValuesSampledData","value":"Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,Current.Offered"}]}"#;

const LIMITS: &[Case] = &[
    (
        6,
        Play::Ready("start\nwait 11\nlimit 16\nwait 30\nlimit 16"),
        &["NoAnswer", r#""stackLevel":8"#, r#""stackLevel":1"#],
        &[],
    ),
    (
        7,
        Play::Ready(
            "start\nwait 11\nlimit 16\nok Rejected\nok Rejected\nok Rejected\nok Rejected\nok Rejected\nok",
        ),
        &["TxDefaultProfile", "limit 1 Connector Accepted"],
        &["Refused"],
    ),
    (
        8,
        Play::Ready(concat!(
            "start\nwait 11\nlimit 0\nok\n",
            r#"< [2,"9","StopTransaction",{"transactionId":1,"meterStop":10,"timestamp":"2024-05-17T18:00:20Z","reason":"Other"}]"#,
        )),
        &["Stopped {", r#"> [3,"9",{}]"#],
        &["ocpp.refused"],
    ),
    (10, Play::Ready("start\nlimit 0 urgent"), &[r#""limit":0.0"#], &["RemoteStop"]),
    (
        11,
        Play::Fresh("up\nboot ABB|Terra AC|1.6\nok\nok\nkeys\nwait 3\nok\nok\nstart\nlimit 16"),
        &[r#""stackLevel":0,"chargingProfilePurpose":"TxProfile""#],
        &[],
    ),
    (12, Play::Fresh("up\nboot Acme|One|1.0\nok Unknown"), &[r#""cleared":true"#], &[]),
    (
        13,
        Play::Fresh(
            "up\nboot Wall Box Chargers|PLP2|6.6.12\nok\nok\nkeys\nwait 3\nok\nok\nstart\nlimit 16",
        ),
        &[r#""chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative""#],
        &[],
    ),
    (
        14,
        Play::Fresh("up\nboot Acme|One|1.0\nok\nok\nwatts\nwait 3\nok\nok\nstart\nlimit 16"),
        &[r#""current":false,"power":true"#, r#""chargingRateUnit":"W""#],
        &[],
    ),
    (15, Play::Ready("start\nlimit 16"), &["SetChargingProfile"], &["numberPhases"]),
    (
        16,
        Play::Fresh(
            "up\nboot Acme|One|1.0\nok\nok Rejected\nok Rejected\nok Rejected\nok Rejected",
        ),
        &[r#"SetChargingProfile",{"connectorId":0"#, r#"SetChargingProfile",{"connectorId":1"#],
        &[],
    ),
    (
        17,
        Play::Ready(
            "start\nwait 11\nlimit 16\nok\nreply {\"status\":\"Accepted\",\"chargingSchedule\":{\"duration\":8640000000000,\"chargingRateUnit\":\"A\",\"chargingSchedulePeriod\":[]}}",
        ),
        &["verified 0 Unproven"],
        &["verified 0 Armed"],
    ),
    (42, Play::Ready("start\nlimit 16"), &[r#""startPeriod":240"#], &[r#""startPeriod":241"#]),
];

const MESSAGES: &[Case] = &[
    (
        18,
        Play::Ready(
            r#"< [2,"9","MeterValues",{"connectorId":1,"transactionId":9223372036854775807,"meterValue":[{"timestamp":"2024-05-17T18:00:03Z","sampledValue":[{"value":"5"}]}]}]"#,
        ),
        &["Metered {", r#"> [3,"9",{}]"#],
        &[],
    ),
    (
        19,
        Play::Ready(
            r#"< [2,"9","StopTransaction",{"transactionId":-1,"meterStop":10,"timestamp":"2024-05-17T18:00:03Z"}]"#,
        ),
        &["TransactionId(-1)", r#"> [3,"9",{}]"#],
        &[],
    ),
    (
        21,
        Play::Ready(
            r#"< [2,"9","SecurityEventNotification",{"type":"Whatever","timestamp":"2024-05-17T18:00:03Z"}]"#,
        ),
        &[r#"> [3,"9",{}]"#],
        &["[4,"],
    ),
    (
        22,
        Play::Fresh(
            r#"up
            < [2,"9","BootNotification",{"chargePointVendor":"Schneider","chargePointModel":"EVlink-with-23-letters","chargePointSerialNumber":"123456789012345678901234567890123"}]"#,
        ),
        &["123456789012345678901234567890123", r#""status":"Accepted""#],
        &["ocpp.refused"],
    ),
    (
        23,
        Play::Fresh(
            r#"up
            < [2,"9","BootNotification",{"chargePointVendor":"","chargePointModel":"","iccid":"","imsi":"","meterType":""}]"#,
        ),
        &[r#""status":"Accepted""#],
        &["ocpp.refused"],
    ),
    (
        25,
        Play::Ready(
            r#"< [2,"9","StatusNotification",{"connectorId":1,"errorCode":"Error","status":"Charging"}]"#,
        ),
        &["unknown-word", "status: Charging", "Error"],
        &[],
    ),
    (
        26,
        Play::Ready(
            r#"< [2,"9","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2024-05-17T18:00:03Z","sampledValue":[{"value":12.5,"measurand":"Current.Import","phase":"L1"}]}]}]"#,
        ),
        &["number-as-value", "current: Some"],
        &[],
    ),
    (
        27,
        Play::Ready(
            r#"< [2,"9","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2024-05-17T18:00:03Z","sampledValue":[{"value":"1260"}]}]}]"#,
        ),
        &["energy: Some(WattHours(1260000))"],
        &[],
    ),
    (
        28,
        Play::Ready(
            r#"< [2,"9","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2024-05-17T18:00:03Z","sampledValue":[{"value":"10","measurand":"Current.Import","phase":"N"}]}]}]"#,
        ),
        &["current: Some"],
        &[],
    ),
    (
        29,
        Play::Ready(
            r#"< [2,"9","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Charging","timestamp":"2024-05-17 18:00:03"}]"#,
        ),
        &["naive-time", "status: Charging"],
        &[],
    ),
    (
        30,
        Play::Ready(r#"< [2,"9","Heartbeat",{}]"#),
        &[r#""currentTime":"2024-05-17T18:00:03Z""#],
        &[],
    ),
    (
        35,
        Play::Ready(
            r#"< [2,"9","StartTransaction",{"connectorId":1,"idTag":"A","meterStart":12.7,"timestamp":"2024-05-17T18:00:03Z"}]"#,
        ),
        &["fractional-register", "meter_start: WattHours(13000)", "transactionId"],
        &[],
    ),
    (
        36,
        Play::Ready(
            r#"< [2,"9","StopTransaction",{"transactionId":77,"meterStop":10,"timestamp":"2024-05-17T18:00:03Z"}]"#,
        ),
        &["Stopped {", r#"> [3,"9",{}]"#],
        &[],
    ),
    (
        37,
        Play::Ready(
            r#"< [2,"9","Authorize",{"idTag":"A","connectorId":1}]
            < [2,"10","DataTransfer",{"vendorId":"EV-BOX","messageId":"evbStatusNotification","data":"{}"}]"#,
        ),
        &["Authorize {", r#"{"status":"UnknownVendorId"}"#],
        &["[4,"],
    ),
];

const LINKS: &[Case] = &[
    (
        1,
        Play::Test("tests/websocket.rs::a_charger_that_names_no_protocol_is_taken_as_it_is"),
        &[],
        &[],
    ),
    (
        2,
        Play::Test("tests/websocket.rs::a_browser_at_the_door_is_told_apart_from_a_charger"),
        &[],
        &[],
    ),
    (
        3,
        Play::Test("tests/websocket.rs::chargers_come_in_by_the_last_segment_of_their_path"),
        &[],
        &[],
    ),
    (
        4,
        Play::Ready(
            r#"start
            down
            up
            < [2,"9","StopTransaction",{"transactionId":1,"meterStop":10,"timestamp":"2024-05-17T18:00:03Z"}]"#,
        ),
        &["offline", "online", "Stopped {"],
        &[],
    ),
    (
        5,
        Play::Ready(
            r#"down
            up
            < [2,"9","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]"#,
        ),
        &["online", "Status {", r#"> [3,"9",{}]"#],
        &["[4,"],
    ),
    (
        9,
        Play::Test(
            "tests/twin_scenarios.rs::a_disobeying_charger_is_found_out_and_others_make_room",
        ),
        &[],
        &[],
    ),
    (
        20,
        Play::Test("tests/ocpp_dialogue.rs::a_repeated_start_gets_the_same_answer_and_counts_once"),
        &[],
        &[],
    ),
    (24, Play::Test("tests/websocket.rs::links_end_politely_or_at_once_as_ordered"), &[], &[]),
    (
        31,
        Play::Test("tests/ocpp_dialogue.rs::a_silent_charger_is_asked_for_a_sign_of_life"),
        &[],
        &[],
    ),
    (32, Play::Test("tests/ocpp_dialogue.rs::a_charge_point_is_commissioned"), &[], &[]),
    (33, Play::Test("tests/ocpp_dialogue.rs::a_charge_point_is_commissioned"), &[], &[]),
    (34, Play::Ready("wait 600"), &[], &["ChangeAvailability"]),
    (38, Play::Ready("wait 300"), &[], &["drop link", "link.deaf"]),
    (
        39,
        Play::Fresh("up\nboot Acme|One|1.0\nok\nok\nreply {}"),
        &[r#"GetConfiguration",{}"#, r#"GetConfiguration",{"key":["#],
        &[],
    ),
    (
        40,
        Play::Ready("boot Acme|One|1.0\nboot Acme|One|1.0\nboot Acme|One|1.0\nwait 60"),
        &[r#""status":"Accepted""#],
        &["GetConfiguration"],
    ),
    (
        41,
        Play::Ready(
            r#"start
            down
            up
            < [2,"9","MeterValues",{"connectorId":1,"transactionId":1,"meterValue":[{"timestamp":"2024-05-17T18:00:03Z","sampledValue":[{"value":"5"}]}]}]"#,
        ),
        &["Metered { evse: 0, transaction: Some(TransactionId(1))"],
        &[],
    ),
];

fn written(lines: &str) -> String {
    let line = |line: &str| match line.trim().split_once(' ') {
        Some(("boot", who)) => {
            let parts: Vec<&str> = who.split('|').collect();
            format!(
                r#"< [2,"1","BootNotification",{{"chargePointVendor":"{}","chargePointModel":"{}","firmwareVersion":"{}"}}]"#,
                parts[0], parts[1], parts[2]
            )
        }
        _ => match line.trim() {
            "keys" => format!("reply {KEYS}"),
            "watts" => format!("reply {WATTS}"),
            other => other.to_owned(),
        },
    };
    lines.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn transcript(play: &Play) -> Option<String> {
    let mut script = Script::new(setup(1, None));
    match play {
        Play::Test(_) => None,
        Play::Fresh(lines) => Some(script.play(&written(lines))),
        Play::Ready(lines) => {
            script.play(&format!("up\n{BOOT}\nok\nok\nreply {KEYS}\nwait 3\nok\nok"));
            Some(script.play(&written(lines)))
        }
    }
}

fn check(cases: &[Case]) {
    for (number, play, wanted, unwanted) in cases {
        let Some(transcript) = transcript(play) else { continue };
        for text in *wanted {
            assert!(transcript.contains(text), "quirk {number}: no {text} in\n{transcript}");
        }
        for text in *unwanted {
            assert!(!transcript.contains(text), "quirk {number}: {text} in\n{transcript}");
        }
    }
}

#[test]
fn deviations_of_limits_and_configuration_are_borne() {
    check(LIMITS);
}

#[test]
fn deviations_of_messages_are_borne() {
    check(MESSAGES);
}

#[test]
fn deviations_of_links_are_borne() {
    check(LINKS);
}

#[test]
fn every_deviation_is_played_and_says_where_it_was_seen() {
    let mut played: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, play, _, _) in LIMITS.iter().chain(MESSAGES).chain(LINKS) {
        *played.entry(*number).or_default() += 1;
        if let Play::Test(name) = play {
            let (file, function) = name.split_once("::").expect("file::function");
            let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let text = std::fs::read_to_string(file).expect("a file of tests");
            assert!(text.contains(&format!("fn {function}(")), "{name}");
        }
    }
    for (index, quirk) in FIELD_QUIRKS.iter().enumerate() {
        assert_eq!(quirk.number, index + 1);
        assert_eq!(played.get(&quirk.number), Some(&1), "quirk {} is not played", quirk.name);
        assert!(!quirk.seen.is_empty() && !quirk.done.is_empty());
    }
}
