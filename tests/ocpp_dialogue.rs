//! Dialogues between a charge point and the central system, as scripts with their transcripts.

mod ocpp_script;

use expect_test::{Expect, expect};

use ampgate::ground::ids::LinkId;
use ampgate::ground::units::{Amps, Volts};
use ampgate::model::message::Identity;
use ampgate::model::record::ChargePointRecord;
use ampgate::model::site::{ChargingPolicy, LeasePolicy};
use ampgate::ocpp::traffic::Traffic;
use ocpp_script::{Script, charge_point, setup};

const BOOT: &str = r#"< [2,"1","BootNotification",{"chargePointVendor":"Acme","chargePointModel":"One","firmwareVersion":"1.0"}]"#;

fn check(script: &mut Script, lines: &str, expected: Expect) {
    expected.assert_eq(&script.play(lines));
}

/// A charge point that is ready: booted, cleared, with its safe share and its configuration.
fn ready() -> Script {
    let mut script = Script::new(setup(1, None));
    script.play(&format!("up\n{BOOT}\nok\nok\nreply {CONFIGURATION}\nok\nok"));
    script.play("wait 3\nok\nok");
    assert!(script.in_flight.is_empty(), "{:?}", script.in_flight);
    script
}

const CONFIGURATION: &str = r#"{"configurationKey":[{"key":"ChargeProfileMaxStackLevel","readonly":true,"value":"8"},{"key":"ChargingScheduleAllowedChargingRateUnit","readonly":true,"value":"Current,Power"},{"key":"ChargingScheduleMaxPeriods","readonly":true,"value":"24"},{"key":"MeterValueSampleInterval","readonly":false,"value":"60"},{"key":"HeartbeatInterval","readonly":false,"value":"300"},{"key":"MeterValuesSampledData","readonly":false,"value":"Energy.Active.Import.Register"}]}"#;

#[test]
fn a_charge_point_is_commissioned() {
    let mut script = Script::new(setup(1, None));
    check(
        &mut script,
        &format!("up\n{BOOT}\nok"),
        expect![[r#"
            up
                ! link.up CP-01: connected from 10.0.0.5
            < [2,"1","BootNotification",{"chargePointVendor":"Acme","chargePointModel":"One","firmwareVersion":"1.0"}]
                online
                Identified { charge_point: ChargePointId("CP-01"), identity: Identity { vendor: "Acme", model: "One", serial: "", firmware: "1.0" } }
                learned {"firmware":"1.0","cleared":false,"ability":{"stack":null,"periods":null,"current":null,"power":null},"connectors":{}}
                ! charger.booted CP-01: Acme One, firmware 1.0
              > [3,"1",{"currentTime":"2024-05-17T18:00:00Z","interval":300,"status":"Accepted"}]
              > [2,_,"ClearChargingProfile",{}]
            ok
                learned {"firmware":"1.0","cleared":true,"ability":{"stack":null,"periods":null,"current":null,"power":null},"connectors":{}}
              > [2,_,"SetChargingProfile",{"connectorId":0,"csChargingProfiles":{"chargingProfileId":2000,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"1970-01-01T00:00:00Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":6.0}]}}}]
        "#]],
    );
    check(
        &mut script,
        &format!("ok\nreply {CONFIGURATION}\nok Rejected\nok\nok Rejected\nok"),
        expect![[r#"
        ok
            safe share of 0 true
            learned {"firmware":"1.0","cleared":true,"ability":{"stack":null,"periods":null,"current":null,"power":null},"connectors":{"1":{"safe_a":6.0,"mode":null,"armed":false}}}
          > [2,_,"GetConfiguration",{}]
        reply {"configurationKey":[{"key":"ChargeProfileMaxStackLevel","readonly":true,"value":"8"},{"key":"ChargingScheduleAllowedChargingRateUnit","readonly":true,"value":"Current,Power"},{"key":"ChargingScheduleMaxPeriods","readonly":true,"value":"24"},{"key":"MeterValueSampleInterval","readonly":false,"value":"60"},{"key":"HeartbeatInterval","readonly":false,"value":"300"},{"key":"MeterValuesSampledData","readonly":false,"value":"Energy.Active.Import.Register"}]}
            learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":true},"connectors":{"1":{"safe_a":6.0,"mode":null,"armed":false}}}
          > [2,_,"ChangeConfiguration",{"key":"MeterValueSampleInterval","value":"10"}]
        ok Rejected
          > [2,_,"ChangeConfiguration",{"key":"MeterValueSampleInterval","value":"30"}]
        ok
          > [2,_,"ChangeConfiguration",{"key":"MeterValuesSampledData","value":"Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,Current.Offered"}]
        ok Rejected
          > [2,_,"ChangeConfiguration",{"key":"MeterValuesSampledData","value":"Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage"}]
        ok
    "#]],
    );
    check(
        &mut script,
        "wait 3\nok Rejected\nok",
        expect![[r#"
        wait 3
          > [2,_,"TriggerMessage",{"requestedMessage":"StatusNotification"}]
        ok Rejected
          > [2,_,"TriggerMessage",{"requestedMessage":"MeterValues","connectorId":1}]
        ok
          > [2,_,"TriggerMessage",{"requestedMessage":"StatusNotification","connectorId":1}]
    "#]],
    );
}

#[test]
fn a_limit_is_accepted_and_its_fall_proven() {
    let mut script = ready();
    check(
        &mut script,
        "start\nlimit 16\nok",
        expect![[r#"
            start
                Started { call: Call { charge_point: ChargePointId("CP-01"), id: "start-0" }, start: Start { evse: Some(0), connector: 1, token: IdToken("A"), meter_start: WattHours(0), at: Some(Utc(1715968803000)), replayed: false, reservation: None } }
              > [3,"start-0",{"idTagInfo":{"status":"Accepted"},"transactionId":1}] (after commit)
            limit 16
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":8,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:03Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            ok
                limit 1 Transaction Accepted { lapse: Unproven }
                learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":true},"connectors":{"1":{"safe_a":6.0,"mode":{"purpose":"tx","stack":8,"kind":"absolute","unit":"A","two_steps":true,"whole":false},"armed":false}}}
              > [2,_,"GetCompositeSchedule",{"connectorId":1,"duration":300,"chargingRateUnit":"A"}]
        "#]],
    );
    check(
        &mut script,
        r#"reply {"status":"Accepted","connectorId":1,"chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16},{"startPeriod":180,"limit":6}]}}
        wait 60
        limit 16
        ok"#,
        expect![[r#"
            reply {"status":"Accepted","connectorId":1,"chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16},{"startPeriod":180,"limit":6}]}}
                verified 0 Armed
                learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":true},"connectors":{"1":{"safe_a":6.0,"mode":{"purpose":"tx","stack":8,"kind":"absolute","unit":"A","two_steps":true,"whole":false},"armed":true}}}
                ! failsafe.armed CP-01: connector 1 shows the fall to its safe share
            wait 60
            limit 16
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":8,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T18:00:03Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            ok
                limit 2 Transaction Accepted { lapse: Armed }
        "#]],
    );
}

#[test]
fn a_fall_that_is_not_shown_is_told_once() {
    let mut script = ready();
    check(
        &mut script,
        r#"start
        limit 16
        ok
        reply {"status":"Accepted","connectorId":1,"chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[]}}
        limit 16
        ok
        error NotImplemented
        limit 16
        ok"#,
        expect![[r#"
            start
                Started { call: Call { charge_point: ChargePointId("CP-01"), id: "start-0" }, start: Start { evse: Some(0), connector: 1, token: IdToken("A"), meter_start: WattHours(0), at: Some(Utc(1715968803000)), replayed: false, reservation: None } }
              > [3,"start-0",{"idTagInfo":{"status":"Accepted"},"transactionId":1}] (after commit)
            limit 16
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":8,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:03Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            ok
                limit 1 Transaction Accepted { lapse: Unproven }
                learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":true},"connectors":{"1":{"safe_a":6.0,"mode":{"purpose":"tx","stack":8,"kind":"absolute","unit":"A","two_steps":true,"whole":false},"armed":false}}}
              > [2,_,"GetCompositeSchedule",{"connectorId":1,"duration":300,"chargingRateUnit":"A"}]
            reply {"status":"Accepted","connectorId":1,"chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[]}}
                verified 0 Unproven
                ! failsafe.unproven CP-01: connector 1: its schedule says nothing (Accepted)
            limit 16
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":8,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:03Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            ok
                limit 2 Transaction Accepted { lapse: Unproven }
              > [2,_,"GetCompositeSchedule",{"connectorId":1,"duration":300,"chargingRateUnit":"A"}]
            error NotImplemented
                verified 0 Unproven
            limit 16
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":8,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:03Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            ok
                limit 3 Transaction Accepted { lapse: Unproven }
        "#]],
    );
}

#[test]
fn a_fall_that_is_not_shown_is_not_told_again_until_something_changes() {
    let mut script = ready();
    let unproven = |script: &mut Script, lines: &str| {
        script.play(lines).lines().filter(|line| line.contains("failsafe.unproven")).count()
    };
    let session = "start\nlimit 16\nok\nerror NotSupported";
    assert_eq!(unproven(&mut script, session), 1);
    assert_eq!(unproven(&mut script, session), 0, "the next session tells nothing new");
    script.play("down\nup");
    script.play(BOOT);
    while !script.in_flight.is_empty() {
        script.play("ok");
    }
    assert_eq!(unproven(&mut script, session), 0, "nor does a start of the charger");
    script.play(&BOOT.replace("1.0", "2.0"));
    while !script.in_flight.is_empty() {
        script.play("ok");
    }
    assert_eq!(unproven(&mut script, session), 1, "other firmware may behave otherwise");
}

#[test]
fn a_refused_limit_goes_down_the_ladder() {
    let mut script = ready();
    check(
        &mut script,
        "start\nwait 20\nlimit 16\nok Rejected\nok Rejected\nok Rejected\nok NotSupported\nok Rejected\nok",
        expect![[r#"
            start
                Started { call: Call { charge_point: ChargePointId("CP-01"), id: "start-0" }, start: Start { evse: Some(0), connector: 1, token: IdToken("A"), meter_start: WattHours(0), at: Some(Utc(1715968803000)), replayed: false, reservation: None } }
              > [3,"start-0",{"idTagInfo":{"status":"Accepted"},"transactionId":1}] (after commit)
            wait 20
            limit 16
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":8,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:23Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            ok Rejected
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":1,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:23Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            ok Rejected
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:23Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            ok Rejected
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":8,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"duration":240,"startSchedule":"2024-05-17T17:59:23Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0}]}}}] (after commit)
            ok NotSupported
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":8,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative","chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":200,"limit":6.0}]}}}] (after commit)
            ok Rejected
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":4001,"stackLevel":8,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:23Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            ok
                limit 1 Connector Accepted { lapse: Unproven }
                learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":true},"connectors":{"1":{"safe_a":6.0,"mode":{"purpose":"tx_default","stack":8,"kind":"absolute","unit":"A","two_steps":true,"whole":false},"armed":false}}}
              > [2,_,"GetCompositeSchedule",{"connectorId":1,"duration":300,"chargingRateUnit":"A"}]
        "#]],
    );
    check(
        &mut script,
        r#"error NotSupported"#,
        expect![[r#"
        error NotSupported
            verified 0 Unproven
            ! failsafe.unproven CP-01: connector 1: NotSupported
    "#]],
    );
}

#[test]
fn a_charger_that_refuses_every_way_is_given_up_for_a_while() {
    let mut script = ready();
    check(
        &mut script,
        "start\nlimit 16\nerror NotImplemented\nlimit 10 urgent",
        expect![[r#"
            start
                Started { call: Call { charge_point: ChargePointId("CP-01"), id: "start-0" }, start: Start { evse: Some(0), connector: 1, token: IdToken("A"), meter_start: WattHours(0), at: Some(Utc(1715968803000)), replayed: false, reservation: None } }
              > [3,"start-0",{"idTagInfo":{"status":"Accepted"},"transactionId":1}] (after commit)
            limit 16
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":8,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:03Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            error NotImplemented
                limit 1 None Refused { why: "NotImplemented" }
                ! limit.refused CP-01: connector 1: NotImplemented
            limit 10 urgent
                limit 2 None Refused { why: "every way of telling it was refused a few minutes ago" }
        "#]],
    );
}

#[test]
fn the_newest_limit_replaces_the_queued_one_and_a_reduction_goes_next() {
    let mut script = ready();
    check(
        &mut script,
        "start\nwait 20\nlimit 16\nlimit 18\nlimit 10 urgent\nok\nok",
        expect![[r#"
            start
                Started { call: Call { charge_point: ChargePointId("CP-01"), id: "start-0" }, start: Start { evse: Some(0), connector: 1, token: IdToken("A"), meter_start: WattHours(0), at: Some(Utc(1715968803000)), replayed: false, reservation: None } }
              > [3,"start-0",{"idTagInfo":{"status":"Accepted"},"transactionId":1}] (after commit)
            wait 20
            limit 16
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":8,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:23Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            limit 18
            limit 10 urgent
                limit 2 None NotSent
            ok
                limit 1 Transaction Accepted { lapse: Unproven }
                learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":true},"connectors":{"1":{"safe_a":6.0,"mode":{"purpose":"tx","stack":8,"kind":"absolute","unit":"A","two_steps":true,"whole":false},"armed":false}}}
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":8,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:23Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":10.0},{"startPeriod":240,"limit":6.0}]}}}]
            ok
                limit 3 Transaction Accepted { lapse: Unproven }
              > [2,_,"GetCompositeSchedule",{"connectorId":1,"duration":300,"chargingRateUnit":"A"}]
        "#]],
    );
}

#[test]
fn what_was_not_answered_when_the_link_went_is_told() {
    let mut script = ready();
    check(
        &mut script,
        "start\nlimit 16\nlimit 18\ndown\nlimit 20",
        expect![[r#"
            start
                Started { call: Call { charge_point: ChargePointId("CP-01"), id: "start-0" }, start: Start { evse: Some(0), connector: 1, token: IdToken("A"), meter_start: WattHours(0), at: Some(Utc(1715968803000)), replayed: false, reservation: None } }
              > [3,"start-0",{"idTagInfo":{"status":"Accepted"},"transactionId":1}] (after commit)
            limit 16
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":8,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:03Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            limit 18
            down
                limit 1 Transaction NoAnswer
                limit 2 None NotSent
                offline
                ! link.down CP-01: connection closed
            limit 20
                limit 3 None NotSent
        "#]],
    );
    check(
        &mut script,
        "up\nwait 3\nwait 3",
        expect![[r#"
        up
            ! link.up CP-01: connected from 10.0.0.5
        wait 3
            online
            safe share of 0 true
        wait 3
          > [2,_,"TriggerMessage",{"requestedMessage":"StatusNotification"}]
    "#]],
    );
}

#[test]
fn a_charger_that_talks_and_does_not_listen_is_dropped() {
    let mut script = ready();
    check(
        &mut script,
        r#"start
        limit 16
        wait 20
        < [2,"h1","Heartbeat",{}]
        wait 10
        limit 16
        wait 30
        < [2,"h2","Heartbeat",{}]
        limit 16
        wait 30"#,
        expect![[r#"
            start
                Started { call: Call { charge_point: ChargePointId("CP-01"), id: "start-0" }, start: Start { evse: Some(0), connector: 1, token: IdToken("A"), meter_start: WattHours(0), at: Some(Utc(1715968803000)), replayed: false, reservation: None } }
              > [3,"start-0",{"idTagInfo":{"status":"Accepted"},"transactionId":1}] (after commit)
            limit 16
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":8,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:03Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            wait 20
            < [2,"h1","Heartbeat",{}]
              > [3,"h1",{"currentTime":"2024-05-17T18:00:23Z"}]
            wait 10
                limit 1 Transaction NoAnswer
            limit 16
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":1,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:33Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            wait 30
                limit 2 Transaction NoAnswer
            < [2,"h2","Heartbeat",{}]
              > [3,"h2",{"currentTime":"2024-05-17T18:01:03Z"}]
            limit 16
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T18:00:03Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            wait 30
                limit 3 Transaction NoAnswer
                offline
                ! link.deaf CP-01: talks but answers nothing
                drop link 1 politely true
        "#]],
    );
}

#[test]
fn a_repeated_start_gets_the_same_answer_and_counts_once() {
    let mut script = ready();
    let start = r#"[2,"5","StartTransaction",{"connectorId":1,"idTag":"A","meterStart":7.6,"timestamp":"2024-05-17T18:00:00Z"}]"#;
    check(
        &mut script,
        &format!("< {start}\ndown\nup\n< {start}"),
        expect![[r#"
            < [2,"5","StartTransaction",{"connectorId":1,"idTag":"A","meterStart":7.6,"timestamp":"2024-05-17T18:00:00Z"}]
                Started { call: Call { charge_point: ChargePointId("CP-01"), id: "5" }, start: Start { evse: Some(0), connector: 1, token: IdToken("A"), meter_start: WattHours(8000), at: Some(Utc(1715968800000)), replayed: false, reservation: None } }
                ! ocpp.repaired CP-01: StartTransaction: a fraction stood where an integer belongs (fractional-register)
              > [3,"5",{"idTagInfo":{"status":"Accepted"},"transactionId":1}] (after commit)
            down
                offline
                ! link.down CP-01: connection closed
            up
                ! link.up CP-01: connected from 10.0.0.5
            < [2,"5","StartTransaction",{"connectorId":1,"idTag":"A","meterStart":7.6,"timestamp":"2024-05-17T18:00:00Z"}]
                online
                safe share of 0 true
              > [3,"5",{"idTagInfo":{"status":"Accepted"},"transactionId":1}] (after commit)
        "#]],
    );
}

#[test]
fn transactions_from_an_offline_queue_are_told_apart() {
    let mut script = ready();
    check(
        &mut script,
        r#"< [2,"6","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":"2024-05-17T18:00:00Z"}]
        < [2,"7","StartTransaction",{"connectorId":1,"idTag":"A","meterStart":100,"timestamp":"2024-05-17T15:00:00Z"}]
        < [2,"8","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Charging","timestamp":"2024-05-17T15:00:01Z"}]
        < [2,"9","StopTransaction",{"transactionId":-1,"meterStop":"2100","timestamp":"2024-05-17T16:00:00Z","reason":"Whatever"}]"#,
        expect![[r#"
            < [2,"6","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":"2024-05-17T18:00:00Z"}]
                Status { evse: 0, status: Available, error: None, at: Some(Utc(1715968800000)) }
              > [3,"6",{}]
              > [2,_,"GetCompositeSchedule",{"connectorId":1,"duration":120,"chargingRateUnit":"A"}]
            < [2,"7","StartTransaction",{"connectorId":1,"idTag":"A","meterStart":100,"timestamp":"2024-05-17T15:00:00Z"}]
                Started { call: Call { charge_point: ChargePointId("CP-01"), id: "7" }, start: Start { evse: Some(0), connector: 1, token: IdToken("A"), meter_start: WattHours(100000), at: Some(Utc(1715958000000)), replayed: true, reservation: None } }
              > [3,"7",{"idTagInfo":{"status":"Accepted"},"transactionId":1}] (after commit)
            < [2,"8","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Charging","timestamp":"2024-05-17T15:00:01Z"}]
              > [3,"8",{}]
            < [2,"9","StopTransaction",{"transactionId":-1,"meterStop":"2100","timestamp":"2024-05-17T16:00:00Z","reason":"Whatever"}]
                Stopped { call: Call { charge_point: ChargePointId("CP-01"), id: "9" }, stop: StopReport { transaction: TransactionId(-1), meter_stop: WattHours(2100000), at: Some(Utc(1715961600000)), reason: "Whatever", token: None, readings: [] } }
                ! ocpp.repaired CP-01: StopTransaction: a number was written as text or a text as a number (number-as-value)
                ! ocpp.repaired CP-01: StopTransaction: a word was not in its enumeration (unknown-word)
              > [3,"9",{}] (after commit)
        "#]],
    );
}

#[test]
fn odd_calls_are_answered_all_the_same() {
    let mut script = ready();
    check(
        &mut script,
        r#"< [2,"a","Frobnicate",{}]
        < [2,"b"]
        < [2,"c","StartTransaction","none"]
        < [2,"d","StartTransaction",null]
        < [2,"e","heartbeat",{}]
        < [2,"f","SecurityEventNotification",{"type":"X","timestamp":"2024-05-17T15:00:01Z"}]
        < [2,"g","DataTransfer",{"vendorId":"EV-BOX"}]
        < [2,"h","StatusNotification",{"connectorId":"1","errorCode":"Error","status":"Occupied"}]
        < [2,"i","Authorize",{"idTag":12345,"connectorId":1}]
        < [3,"late",{}]
        < [7,"x"]
        < nonsense
        < nonsense"#,
        expect![[r#"
            < [2,"a","Frobnicate",{}]
                ! ocpp.refused CP-01: Frobnicate: unknown action
              > [4,"a","NotImplemented","unknown action",{}]
            < [2,"b"]
              > [4,"b","FormationViolation","no action",{}]
            < [2,"c","StartTransaction","none"]
              > [4,"c","FormationViolation","the payload is no JSON object",{}]
            < [2,"d","StartTransaction",null]
                Started { call: Call { charge_point: ChargePointId("CP-01"), id: "d" }, start: Start { evse: Some(0), connector: 1, token: IdToken(""), meter_start: WattHours(0), at: None, replayed: false, reservation: None } }
                ! ocpp.repaired CP-01: StartTransaction: the payload was not an object (empty-payload)
                ! ocpp.repaired CP-01: StartTransaction: a required field was missing or unreadable (missing-field)
                ! ocpp.repaired CP-01: StartTransaction: a time could not be read; the time of arrival is used (no-time)
              > [3,"d",{"idTagInfo":{"status":"Accepted"},"transactionId":1}] (after commit)
            < [2,"e","heartbeat",{}]
                ! ocpp.repaired CP-01: heartbeat: a word was in the wrong case (wrong-case)
              > [3,"e",{"currentTime":"2024-05-17T18:00:03Z"}]
            < [2,"f","SecurityEventNotification",{"type":"X","timestamp":"2024-05-17T15:00:01Z"}]
                ! charger.security CP-01: X
              > [3,"f",{}]
            < [2,"g","DataTransfer",{"vendorId":"EV-BOX"}]
              > [3,"g",{"status":"UnknownVendorId"}]
            < [2,"h","StatusNotification",{"connectorId":"1","errorCode":"Error","status":"Occupied"}]
                Status { evse: 0, status: Unknown, error: Some("Error, unknown status \"Occupied\""), at: Some(Utc(1715968803000)) }
                ! ocpp.repaired CP-01: StatusNotification: a number was written as text or a text as a number (number-as-value)
                ! ocpp.repaired CP-01: StatusNotification: a word was not in its enumeration (unknown-word)
              > [3,"h",{}]
            < [2,"i","Authorize",{"idTag":12345,"connectorId":1}]
                Authorize { call: Call { charge_point: ChargePointId("CP-01"), id: "i" }, token: IdToken("12345") }
              > [3,"i",{"idTagInfo":{"status":"Accepted"}}] (after commit)
            < [3,"late",{}]
            < [7,"x"]
            < nonsense
            < nonsense
        "#]],
    );
}

#[test]
fn two_boxes_with_one_identity_are_told() {
    let mut script = ready();
    check(
        &mut script,
        "up\nup\nup\nup\nwait 3",
        expect![[r#"
            up
                offline
                ! link.replaced CP-01: connected from 10.0.0.5 while the connection from 10.0.0.5 was open
                drop link 1 politely false
            up
                drop link 2 politely false
            up
                ! link.replaced CP-01: 3 connections as CP-01 in 5 min, from 10.0.0.5 and 10.0.0.5: two boxes with one name?
                drop link 3 politely false
            up
                drop link 4 politely false
            wait 3
                online
                safe share of 0 true
        "#]],
    );
}

#[test]
fn meter_values_are_not_asked_for_all_the_time() {
    let mut script = ready();
    check(
        &mut script,
        "wait 10\nmeter\nok\nmeter\nmeter\nwait 4\nwait 1",
        expect![[r#"
        wait 10
        meter
          > [2,_,"TriggerMessage",{"requestedMessage":"MeterValues","connectorId":1}]
        ok
        meter
        meter
        wait 4
        wait 1
          > [2,_,"TriggerMessage",{"requestedMessage":"MeterValues","connectorId":1}]
    "#]],
    );
}

#[test]
fn a_silent_charger_is_asked_for_a_sign_of_life() {
    let mut script = ready();
    check(
        &mut script,
        "wait 899\nwait 1\nok\nwait 900\nwait 30",
        expect![[r#"
        wait 899
        wait 1
          > [2,_,"TriggerMessage",{"requestedMessage":"Heartbeat"}]
        ok
        wait 900
          > [2,_,"TriggerMessage",{"requestedMessage":"Heartbeat"}]
        wait 30
            offline
            ! link.deaf CP-01: silent
            drop link 1 politely true
    "#]],
    );
}

#[test]
fn without_a_trusted_clock_the_charger_keeps_its_own() {
    let mut script = Script::new(setup(1, None));
    script.now.utc = None;
    check(
        &mut script,
        &format!(
            "up\n{BOOT}\n{}\nwait 5\n{}",
            r#"< [2,"2","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":"2024-05-17T18:00:00Z"}]"#,
            r#"< [2,"3","Heartbeat",{}]"#
        ),
        expect![[r#"
            up
                ! link.up CP-01: connected from 10.0.0.5
            < [2,"1","BootNotification",{"chargePointVendor":"Acme","chargePointModel":"One","firmwareVersion":"1.0"}]
                online
                Identified { charge_point: ChargePointId("CP-01"), identity: Identity { vendor: "Acme", model: "One", serial: "", firmware: "1.0" } }
                learned {"firmware":"1.0","cleared":false,"ability":{"stack":null,"periods":null,"current":null,"power":null},"connectors":{}}
                ! charger.booted CP-01: Acme One, firmware 1.0
              > [3,"1",{"currentTime":"2025-01-01T00:00:00Z","interval":300,"status":"Accepted"}]
              > [2,_,"ClearChargingProfile",{}]
            < [2,"2","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":"2024-05-17T18:00:00Z"}]
                Status { evse: 0, status: Available, error: None, at: Some(Utc(1715968800000)) }
              > [3,"2",{}]
            wait 5
            < [2,"3","Heartbeat",{}]
              > [3,"3",{"currentTime":"2024-05-17T18:00:05Z"}]
        "#]],
    );
}

#[test]
fn the_safe_share_is_told_to_each_connector_where_the_whole_is_refused() {
    let mut script = Script::new(setup(2, None));
    script.play(&format!("up\n{BOOT}"));
    let refused = "ok\n".to_owned() + &"ok Rejected\n".repeat(4);
    let expected = expect![[r#"
        ok
            learned {"firmware":"1.0","cleared":true,"ability":{"stack":null,"periods":null,"current":null,"power":null},"connectors":{}}
          > [2,_,"SetChargingProfile",{"connectorId":0,"csChargingProfiles":{"chargingProfileId":2000,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"1970-01-01T00:00:00Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":6.0}]}}}]
        ok Rejected
          > [2,_,"SetChargingProfile",{"connectorId":0,"csChargingProfiles":{"chargingProfileId":2000,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Relative","chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":6.0}]}}}]
        ok Rejected
          > [2,_,"SetChargingProfile",{"connectorId":0,"csChargingProfiles":{"chargingProfileId":2000,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"1970-01-01T00:00:00Z","chargingRateUnit":"W","chargingSchedulePeriod":[{"startPeriod":0,"limit":4140.0}]}}}]
        ok Rejected
          > [2,_,"SetChargingProfile",{"connectorId":0,"csChargingProfiles":{"chargingProfileId":2000,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Relative","chargingSchedule":{"chargingRateUnit":"W","chargingSchedulePeriod":[{"startPeriod":0,"limit":4140.0}]}}}]
        ok Rejected
          > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":2001,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"1970-01-01T00:00:00Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":6.0}]}}}]
        ok
            safe share of 0 true
            learned {"firmware":"1.0","cleared":true,"ability":{"stack":null,"periods":null,"current":null,"power":null},"connectors":{"1":{"safe_a":6.0,"mode":null,"armed":false}}}
          > [2,_,"SetChargingProfile",{"connectorId":2,"csChargingProfiles":{"chargingProfileId":2002,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"1970-01-01T00:00:00Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":6.0}]}}}]
        ok Rejected
          > [2,_,"SetChargingProfile",{"connectorId":2,"csChargingProfiles":{"chargingProfileId":2002,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Relative","chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":6.0}]}}}]
        ok NotSupported
          > [2,_,"SetChargingProfile",{"connectorId":2,"csChargingProfiles":{"chargingProfileId":2002,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"1970-01-01T00:00:00Z","chargingRateUnit":"W","chargingSchedulePeriod":[{"startPeriod":0,"limit":4140.0}]}}}]
        error NotImplemented
            safe share of 1 false
            ! limit.refused CP-01: connector 2 takes no permanent safe share: NotImplemented
          > [2,_,"GetConfiguration",{}]
    "#]];
    check(
        &mut script,
        &format!("{refused}ok\nok Rejected\nok NotSupported\nerror NotImplemented"),
        expected,
    );
}

/// What a charger that is known, cleared and proven is remembered as.
fn remembered() -> ChargePointRecord {
    let capability = r#"{"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":true},"connectors":{"1":{"safe_a":6.0,"mode":{"purpose":"tx","stack":8,"kind":"absolute","unit":"A","two_steps":true,"whole":false},"armed":true}}}"#;
    let identity = Identity {
        vendor: "Acme".to_owned(),
        model: "One".to_owned(),
        firmware: "1.0".to_owned(),
        ..Identity::default()
    };
    ChargePointRecord {
        charge_point: charge_point(),
        identity: Some(identity),
        capability: Some(capability.to_owned()),
    }
}

#[test]
fn a_known_charger_is_not_written_to_again() {
    let mut script = Script::new(setup(1, Some(remembered())));
    check(
        &mut script,
        &format!("up\nwait 3\nreply {CONFIGURATION}\nok\nok\nstart\nlimit 16\nok"),
        expect![[r#"
            up
                ! link.up CP-01: connected from 10.0.0.5
            wait 3
                online
                safe share of 0 true
              > [2,_,"GetConfiguration",{}]
            reply {"configurationKey":[{"key":"ChargeProfileMaxStackLevel","readonly":true,"value":"8"},{"key":"ChargingScheduleAllowedChargingRateUnit","readonly":true,"value":"Current,Power"},{"key":"ChargingScheduleMaxPeriods","readonly":true,"value":"24"},{"key":"MeterValueSampleInterval","readonly":false,"value":"60"},{"key":"HeartbeatInterval","readonly":false,"value":"300"},{"key":"MeterValuesSampledData","readonly":false,"value":"Energy.Active.Import.Register"}]}
              > [2,_,"ChangeConfiguration",{"key":"MeterValueSampleInterval","value":"10"}]
            ok
              > [2,_,"ChangeConfiguration",{"key":"MeterValuesSampledData","value":"Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,Current.Offered"}]
            ok
            start
                Started { call: Call { charge_point: ChargePointId("CP-01"), id: "start-0" }, start: Start { evse: Some(0), connector: 1, token: IdToken("A"), meter_start: WattHours(0), at: Some(Utc(1715968803000)), replayed: false, reservation: None } }
              > [3,"start-0",{"idTagInfo":{"status":"Accepted"},"transactionId":1}] (after commit)
            limit 16
              > [2,_,"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3001,"transactionId":1,"stackLevel":8,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"2024-05-17T17:59:03Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.0},{"startPeriod":240,"limit":6.0}]}}}] (after commit)
            ok
                limit 1 Transaction Accepted { lapse: Armed }
              > [2,_,"GetCompositeSchedule",{"connectorId":1,"duration":300,"chargingRateUnit":"A"}]
        "#]],
    );
}

#[test]
fn another_firmware_is_probed_anew() {
    let mut script = Script::new(setup(1, Some(remembered())));
    let boot = BOOT.replace("1.0", "2.0");
    check(
        &mut script,
        &format!("up\n{boot}\nok"),
        expect![[r#"
            up
                ! link.up CP-01: connected from 10.0.0.5
            < [2,"1","BootNotification",{"chargePointVendor":"Acme","chargePointModel":"One","firmwareVersion":"2.0"}]
                online
                safe share of 0 true
                Identified { charge_point: ChargePointId("CP-01"), identity: Identity { vendor: "Acme", model: "One", serial: "", firmware: "2.0" } }
                learned {"firmware":"2.0","cleared":true,"ability":{"stack":null,"periods":null,"current":null,"power":null},"connectors":{}}
                ! charger.booted CP-01: Acme One, firmware 2.0
              > [3,"1",{"currentTime":"2024-05-17T18:00:00Z","interval":300,"status":"Accepted"}]
              > [2,_,"SetChargingProfile",{"connectorId":0,"csChargingProfiles":{"chargingProfileId":2000,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"1970-01-01T00:00:00Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":6.0}]}}}]
            ok
                safe share of 0 true
                learned {"firmware":"2.0","cleared":true,"ability":{"stack":null,"periods":null,"current":null,"power":null},"connectors":{"1":{"safe_a":6.0,"mode":null,"armed":false}}}
              > [2,_,"GetConfiguration",{}]
        "#]],
    );
}

#[test]
fn a_charger_whose_share_was_lost_gets_it_again() {
    let mut script = Script::new(setup(1, Some(remembered())));
    script.play(&format!("up\n{BOOT}\nreply {CONFIGURATION}\nok"));
    let available = r#"< [2,"2","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]"#;
    check(
        &mut script,
        &format!(
            "{available}\nok\n{}\nok",
            r#"reply {"status":"Accepted","chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":32}]}}"#
        ),
        expect![[r#"
            < [2,"2","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]
                Status { evse: 0, status: Available, error: None, at: Some(Utc(1715968800000)) }
              > [3,"2",{}]
            ok
              > [2,_,"GetCompositeSchedule",{"connectorId":1,"duration":120,"chargingRateUnit":"A"}]
            reply {"status":"Accepted","chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":32}]}}
                learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":true},"connectors":{"1":{"safe_a":null,"mode":{"purpose":"tx","stack":8,"kind":"absolute","unit":"A","two_steps":true,"whole":false},"armed":true}}}
              > [2,_,"SetChargingProfile",{"connectorId":0,"csChargingProfiles":{"chargingProfileId":2000,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"1970-01-01T00:00:00Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":6.0}]}}}]
            ok
                safe share of 0 true
                learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":true},"connectors":{"1":{"safe_a":6.0,"mode":{"purpose":"tx","stack":8,"kind":"absolute","unit":"A","two_steps":true,"whole":false},"armed":true}}}
        "#]],
    );
}

#[test]
fn another_configuration_leaves_the_links_alone_and_is_told_on_them() {
    let mut script = ready();
    script.play("start\nlimit 16\nok");
    let mut other = setup(1, None);
    other.connectors[0].safe = Amps::new(8);
    let mut out = Traffic::default();
    let policies = (ChargingPolicy::default(), LeasePolicy::default());
    script.central = script.central.reconfigured(
        vec![other],
        policies.0.clone(),
        policies.1.clone(),
        Volts::new(230),
        &mut out,
    );
    assert_eq!(out, Traffic::default());
    check(
        &mut script,
        "error NotSupported\nok",
        expect![[r#"
            error NotSupported
                verified 0 Unproven
                ! failsafe.unproven CP-01: connector 1: NotSupported
              > [2,_,"SetChargingProfile",{"connectorId":0,"csChargingProfiles":{"chargingProfileId":2000,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{"startSchedule":"1970-01-01T00:00:00Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":8.0}]}}}]
            ok
                safe share of 0 true
                learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":true},"connectors":{"1":{"safe_a":8.0,"mode":{"purpose":"tx","stack":8,"kind":"absolute","unit":"A","two_steps":true,"whole":false},"armed":false}}}
              > [2,_,"GetConfiguration",{}]
        "#]],
    );
    script.central.reconfigured(vec![], policies.0, policies.1, Volts::new(230), &mut out);
    assert_eq!(out.disconnects, [(charge_point(), LinkId(1), true)]);
}
