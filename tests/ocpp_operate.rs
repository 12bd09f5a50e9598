//! What people ask of a charge point: every message of OCPP 1.6 from the central system that is not
//! a limit, and the local list, as dialogues.

mod ocpp_script;

use expect_test::{Expect, expect};

use ocpp_script::{Script, setup};

const BOOT: &str = r#"< [2,"1","BootNotification",{"chargePointVendor":"Acme","chargePointModel":"One","firmwareVersion":"1.0"}]"#;

const KEYS: &[(&str, &str)] = &[
    ("ChargeProfileMaxStackLevel", "8"),
    ("ChargingScheduleAllowedChargingRateUnit", "Current"),
    ("ChargingScheduleMaxPeriods", "24"),
    ("MeterValueSampleInterval", "10"),
    ("HeartbeatInterval", "300"),
    (
        "MeterValuesSampledData",
        "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,Current.Offered",
    ),
];

fn configuration(more: &[(&str, &str)]) -> String {
    let all = KEYS.iter().chain(more);
    let entries: Vec<String> = all
        .map(|(key, value)| format!(r#"{{"key":"{key}","readonly":false,"value":"{value}"}}"#))
        .collect();
    format!(r#"{{"configurationKey":[{}]}}"#, entries.join(","))
}

/// A charge point that is booted, cleared, configured, with its safe share.
fn ready(more: &[(&str, &str)]) -> Script {
    let mut script = Script::new(setup(1, None));
    script.play(&format!("up\n{BOOT}\nok\nok\nreply {}", configuration(more)));
    script
}

fn quiet() -> Script {
    let mut script = ready(&[]);
    script.play("wait 3\nok\nok");
    assert!(script.in_flight.is_empty(), "{:?}", script.in_flight);
    script
}

fn check(script: &mut Script, lines: &str, expected: Expect) {
    expected.assert_eq(&script.play(lines));
}

#[test]
fn every_order_is_sent_as_the_standard_writes_it_and_answered_in_words() {
    let orders = r#"
        ask {"ask":"reset","hard":false}
        ok
        ask {"ask":"reset","hard":true}
        ok Rejected
        ask {"ask":"unlock"}
        ok UnlockFailed
        ask {"ask":"availability","operative":false}
        ok Scheduled
        ask {"ask":"start","token":"AB12"}
        ok
        ask {"ask":"stop","transaction":7}
        ok Rejected
        ask {"ask":"trigger","message":"status"}
        ok
        ask {"ask":"trigger","message":"diagnostics"}
        ok NotImplemented
    "#;
    check(
        &mut quiet(),
        orders,
        expect![[r#"
        ask {"ask":"reset","hard":false}
          > [2,_,"Reset",{"type":"Soft"}]
        ok
            asked: yes, accepted: it ends its charges and restarts
        ask {"ask":"reset","hard":true}
          > [2,_,"Reset",{"type":"Hard"}]
        ok Rejected
            asked: no, refused
        ask {"ask":"unlock"}
          > [2,_,"UnlockConnector",{"connectorId":1}]
        ok UnlockFailed
            asked: no, the lock did not open
        ask {"ask":"availability","operative":false}
          > [2,_,"ChangeAvailability",{"connectorId":1,"type":"Inoperative"}]
        ok Scheduled
            asked: yes, accepted: when the running charge has ended
        ask {"ask":"start","token":"AB12"}
          > [2,_,"RemoteStartTransaction",{"connectorId":1,"idTag":"AB12"}]
        ok
            asked: yes, accepted: it starts when the car is plugged in
        ask {"ask":"stop","transaction":7}
          > [2,_,"RemoteStopTransaction",{"transactionId":7}]
        ok Rejected
            asked: no, refused
        ask {"ask":"trigger","message":"status"}
          > [2,_,"TriggerMessage",{"requestedMessage":"StatusNotification","connectorId":1}]
        ok
            asked: yes, accepted
        ask {"ask":"trigger","message":"diagnostics"}
          > [2,_,"TriggerMessage",{"requestedMessage":"DiagnosticsStatusNotification"}]
        ok NotImplemented
            asked: no, the charger cannot do this
    "#]],
    );
}

#[test]
fn configuration_lists_and_profiles_are_asked_for_as_the_standard_writes_it() {
    let orders = r#"
        ask {"ask":"read","keys":["HeartbeatInterval","Foo"]}
        reply {"configurationKey":[{"key":"HeartbeatInterval","readonly":false,"value":"300"}],"unknownKey":["Foo"]}
        ask {"ask":"change","key":"LightIntensity","value":"50"}
        ok RebootRequired
        ask {"ask":"clear_cache"}
        ok
        ask {"ask":"data","vendor":"com.acme","message":"led","data":"on"}
        reply {"status":"Accepted","data":"done"}
        ask {"ask":"list_version"}
        reply {"listVersion":-1}
        ask {"ask":"clear_profile","id":7}
        ok Unknown
        ask {"ask":"schedule","duration_s":60}
        reply {"status":"Accepted","connectorId":1}
    "#;
    check(
        &mut quiet(),
        orders,
        expect![[r#"
        ask {"ask":"read","keys":["HeartbeatInterval","Foo"]}
          > [2,_,"GetConfiguration",{"key":["HeartbeatInterval","Foo"]}]
        reply {"configurationKey":[{"key":"HeartbeatInterval","readonly":false,"value":"300"}],"unknownKey":["Foo"]}
            asked: yes, read {"configurationKey":[{"key":"HeartbeatInterval","readonly":false,"value":"300"}],"unknownKey":["Foo"]}
        ask {"ask":"change","key":"LightIntensity","value":"50"}
          > [2,_,"ChangeConfiguration",{"key":"LightIntensity","value":"50"}]
        ok RebootRequired
            asked: yes, accepted: it holds after a restart
        ask {"ask":"clear_cache"}
          > [2,_,"ClearCache",{}]
        ok
            asked: yes, accepted
        ask {"ask":"data","vendor":"com.acme","message":"led","data":"on"}
          > [2,_,"DataTransfer",{"vendorId":"com.acme","messageId":"led","data":"on"}]
        reply {"status":"Accepted","data":"done"}
            asked: yes, accepted {"status":"Accepted","data":"done"}
        ask {"ask":"list_version"}
          > [2,_,"GetLocalListVersion",{}]
        reply {"listVersion":-1}
            asked: yes, read {"listVersion":-1}
        ask {"ask":"clear_profile","id":7}
          > [2,_,"ClearChargingProfile",{"id":7}]
        ok Unknown
            asked: no, it holds no such profile
        ask {"ask":"schedule","duration_s":60}
          > [2,_,"GetCompositeSchedule",{"connectorId":1,"duration":60,"chargingRateUnit":"A"}]
        reply {"status":"Accepted","connectorId":1}
            asked: yes, accepted {"status":"Accepted","connectorId":1}
    "#]],
    );
}

#[test]
fn reservations_firmware_and_logs_are_sent_as_the_standard_writes_them() {
    let mut script = quiet();
    let orders = r#"
        ask {"ask":"reserve","reservation":4,"token":"AB12","parent":"FLEET","until":"2024-05-17T20:00:00Z"}
        ok Occupied
        ask {"ask":"cancel_reservation","reservation":4}
        ok
        ask {"ask":"firmware","location":"https://files.example/fw.bin"}
        reply {}
        ask {"ask":"firmware","location":"https://files.example/fw.bin","signed":{"request":3,"install_at":"2024-05-18T02:00:00Z","certificate":"-----BEGIN","signature":"c2ln"}}
        ok InvalidCertificate
        ask {"ask":"upload","file":"diagnostics","location":"http://10.0.0.1/up","from":"2024-05-16T00:00:00Z"}
        reply {"fileName":"cp01.zip"}
        ask {"ask":"upload","file":"log","location":"http://10.0.0.1/up","request":5}
        reply {"status":"Accepted","filename":"log.zip"}
        ask {"ask":"upload","file":"security_log","location":"http://10.0.0.1/up","request":6}
        error NotImplemented
        < [2,"9","DiagnosticsStatusNotification",{"status":"Uploading"}]
        < [2,"10","FirmwareStatusNotification",{"status":"Downloaded"}]
        < [2,"11","LogStatusNotification",{"status":"Uploaded","requestId":5}]
        < [2,"12","SignedFirmwareStatusNotification",{"status":"InvalidSignature","requestId":3}]
    "#;
    check(
        &mut script,
        orders,
        expect![[r#"
        ask {"ask":"reserve","reservation":4,"token":"AB12","parent":"FLEET","until":"2024-05-17T20:00:00Z"}
          > [2,_,"ReserveNow",{"connectorId":1,"expiryDate":"2024-05-17T20:00:00Z","idTag":"AB12","parentIdTag":"FLEET","reservationId":4}] (after commit)
        ok Occupied
            asked: no, refused: the EVSE is in use
        ask {"ask":"cancel_reservation","reservation":4}
          > [2,_,"CancelReservation",{"reservationId":4}]
        ok
            asked: yes, given up
        ask {"ask":"firmware","location":"https://files.example/fw.bin"}
          > [2,_,"UpdateFirmware",{"location":"https://files.example/fw.bin","retries":3,"retrieveDate":"2024-05-17T18:00:03Z","retryInterval":60}]
        reply {}
            asked: yes, it fetches the firmware and installs it
        ask {"ask":"firmware","location":"https://files.example/fw.bin","signed":{"request":3,"install_at":"2024-05-18T02:00:00Z","certificate":"-----BEGIN","signature":"c2ln"}}
          > [2,_,"SignedUpdateFirmware",{"retries":3,"retryInterval":60,"requestId":3,"firmware":{"location":"https://files.example/fw.bin","retrieveDateTime":"2024-05-17T18:00:03Z","installDateTime":"2024-05-18T02:00:00Z","signingCertificate":"-----BEGIN","signature":"c2ln"}}]
        ok InvalidCertificate
            asked: no, refused: the certificate is not valid
        ask {"ask":"upload","file":"diagnostics","location":"http://10.0.0.1/up","from":"2024-05-16T00:00:00Z"}
          > [2,_,"GetDiagnostics",{"location":"http://10.0.0.1/up","retries":3,"retryInterval":60,"startTime":"2024-05-16T00:00:00Z"}]
        reply {"fileName":"cp01.zip"}
            asked: yes, it uploads its diagnostics {"fileName":"cp01.zip"}
        ask {"ask":"upload","file":"log","location":"http://10.0.0.1/up","request":5}
          > [2,_,"GetLog",{"logType":"DiagnosticsLog","requestId":5,"retries":3,"retryInterval":60,"log":{"remoteLocation":"http://10.0.0.1/up"}}]
        reply {"status":"Accepted","filename":"log.zip"}
            asked: yes, it uploads the log {"status":"Accepted","filename":"log.zip"}
        ask {"ask":"upload","file":"security_log","location":"http://10.0.0.1/up","request":6}
          > [2,_,"GetLog",{"logType":"SecurityLog","requestId":6,"retries":3,"retryInterval":60,"log":{"remoteLocation":"http://10.0.0.1/up"}}]
        error NotImplemented
            asked: no, the charger does not know this message
        < [2,"9","DiagnosticsStatusNotification",{"status":"Uploading"}]
            Progress { charge_point: ChargePointId("CP-01"), job: Upload, status: "Uploading", request: None }
          > [3,"9",{}]
        < [2,"10","FirmwareStatusNotification",{"status":"Downloaded"}]
            Progress { charge_point: ChargePointId("CP-01"), job: Update, status: "Downloaded", request: None }
          > [3,"10",{}]
        < [2,"11","LogStatusNotification",{"status":"Uploaded","requestId":5}]
            Progress { charge_point: ChargePointId("CP-01"), job: Upload, status: "Uploaded", request: Some(5) }
          > [3,"11",{}]
        < [2,"12","SignedFirmwareStatusNotification",{"status":"InvalidSignature","requestId":3}]
            Progress { charge_point: ChargePointId("CP-01"), job: Update, status: "InvalidSignature", request: Some(3) }
          > [3,"12",{}]
    "#]],
    );
}

#[test]
fn what_cannot_be_asked_is_told_at_once() {
    let mut script = quiet();
    let orders = r#"
        ask {"ask":"clear_profile","id":3001}
        ask {"ask":"start","token":"123456789012345678901"}
        ask {"ask":"upload","file":"log","location":"somewhere"}
        ask {"ask":"stop"}
        ask {"ask":"unlock"}
        ask {"ask":"clear_cache"}
        down
        ask {"ask":"unlock"}
        up
        ask {"ask":"unlock"}
    "#;
    check(
        &mut script,
        orders,
        expect![[r#"
        ask {"ask":"clear_profile","id":3001}
            asked: no, profile 3001 is Ampgate's own and guards a breaker; expected one of another system
        ask {"ask":"start","token":"123456789012345678901"}
            asked: no, the token has 21 characters; expected at most 20
        ask {"ask":"upload","file":"log","location":"somewhere"}
            asked: no, somewhere is no address; expected a URL like http://10.0.0.1/file
        ask {"ask":"stop"}
            asked: no, no charge runs there
        ask {"ask":"unlock"}
          > [2,_,"UnlockConnector",{"connectorId":1}]
        ask {"ask":"clear_cache"}
        down
            asked: no, the connection went before it answered
            asked: no, the connection went before it answered
            offline
            ! link.down CP-01: connection closed
        ask {"ask":"unlock"}
            asked: no, CP-01 is not connected
        up
            ! link.up CP-01: connected from 10.0.0.5
        ask {"ask":"unlock"}
            asked: no, CP-01 is not connected
    "#]],
    );
}

#[test]
fn an_order_that_gets_no_answer_is_told_as_such() {
    let mut script = quiet();
    check(
        &mut script,
        "ask {\"ask\":\"unlock\"}\nwait 30",
        expect![[r#"
        ask {"ask":"unlock"}
          > [2,_,"UnlockConnector",{"connectorId":1}]
        wait 30
            asked: no, the charger did not answer in time
    "#]],
    );
}

#[test]
fn a_local_list_is_sent_in_chunks_and_then_only_what_differs() {
    let mut script = ready(&[("SendLocalListMaxLength", "2"), ("LocalAuthListEnabled", "false")]);
    check(
        &mut script,
        "list A B C\nok\nreply {\"listVersion\":0}\nok\nok",
        expect![[r#"
        list A B C
        ok
          > [2,_,"GetLocalListVersion",{}]
        reply {"listVersion":0}
          > [2,_,"SendLocalList",{"listVersion":1,"localAuthorizationList":[{"idTag":"A","idTagInfo":{"status":"Accepted"}},{"idTag":"B","idTagInfo":{"status":"Accepted"}}],"updateType":"Differential"}]
        ok
            learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":false},"connectors":{"1":{"safe_a":6.0,"mode":null,"armed":false}},"list":{"version":1,"entries":{"A":5427942040158577503,"B":4970397719000617584},"never":false}}
          > [2,_,"SendLocalList",{"listVersion":2,"localAuthorizationList":[{"idTag":"C","idTagInfo":{"status":"Accepted"}}],"updateType":"Differential"}]
        ok
            learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":false},"connectors":{"1":{"safe_a":6.0,"mode":null,"armed":false}},"list":{"version":2,"entries":{"A":5427942040158577503,"B":4970397719000617584,"C":12220448251832683581},"never":false}}
            ! list.sent CP-01: 3 tokens, version 2
    "#]],
    );
    script.play("wait 3\nok\nok");
    check(
        &mut script,
        "list A B C\nlist A C D\nok",
        expect![[r#"
        list A B C
        list A C D
          > [2,_,"SendLocalList",{"listVersion":3,"localAuthorizationList":[{"idTag":"B"},{"idTag":"D","idTagInfo":{"status":"Accepted"}}],"updateType":"Differential"}]
        ok
            learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":false},"connectors":{"1":{"safe_a":6.0,"mode":null,"armed":false}},"list":{"version":3,"entries":{"A":5427942040158577503,"C":12220448251832683581,"D":14682149831790207422},"never":false}}
            ! list.sent CP-01: 3 tokens, version 3
    "#]],
    );
    // On the next link its version tells that nothing was lost.
    script.play("down\nup\nwait 3");
    check(
        &mut script,
        "reply {\"listVersion\":3}\nlist A C\nok",
        expect![[r#"
        reply {"listVersion":3}
        list A C
          > [2,_,"SendLocalList",{"listVersion":4,"localAuthorizationList":[{"idTag":"D"}],"updateType":"Differential"}]
        ok
            learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":false},"connectors":{"1":{"safe_a":6.0,"mode":null,"armed":false}},"list":{"version":4,"entries":{"A":5427942040158577503,"C":12220448251832683581},"never":false}}
            ! list.sent CP-01: 2 tokens, version 4
    "#]],
    );
}

#[test]
fn a_list_of_another_version_is_replaced_whole_and_a_refusal_repaired_once() {
    let mut script = ready(&[("SendLocalListMaxLength", "10")]);
    check(
        &mut script,
        "list A B\nreply {\"listVersion\":17}\nok VersionMismatch\nreply {\"listVersion\":20}\nok Failed\nwait 3\nok\nok",
        expect![[r#"
            list A B
              > [2,_,"GetLocalListVersion",{}]
            reply {"listVersion":17}
                learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":false},"connectors":{"1":{"safe_a":6.0,"mode":null,"armed":false}},"list":{"version":17,"entries":{},"never":false}}
              > [2,_,"SendLocalList",{"listVersion":18,"localAuthorizationList":[{"idTag":"A","idTagInfo":{"status":"Accepted"}},{"idTag":"B","idTagInfo":{"status":"Accepted"}}],"updateType":"Full"}]
            ok VersionMismatch
              > [2,_,"GetLocalListVersion",{}]
            reply {"listVersion":20}
                learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":false},"connectors":{"1":{"safe_a":6.0,"mode":null,"armed":false}},"list":{"version":20,"entries":{},"never":false}}
              > [2,_,"SendLocalList",{"listVersion":21,"localAuthorizationList":[{"idTag":"A","idTagInfo":{"status":"Accepted"}},{"idTag":"B","idTagInfo":{"status":"Accepted"}}],"updateType":"Full"}]
            ok Failed
                ! list.refused CP-01: the list of tokens was refused: Failed
            wait 3
              > [2,_,"TriggerMessage",{"requestedMessage":"StatusNotification"}]
            ok
              > [2,_,"TriggerMessage",{"requestedMessage":"MeterValues","connectorId":1}]
            ok
        "#]],
    );
    // Not again on this link.
    assert!(script.in_flight.is_empty());
}

#[test]
fn a_charger_without_lists_is_left_alone() {
    let mut script = ready(&[]);
    check(
        &mut script,
        "list A B\nreply {\"listVersion\":-1}\nwait 3\nok\nok",
        expect![[r#"
        list A B
          > [2,_,"GetLocalListVersion",{}]
        reply {"listVersion":-1}
            learned {"firmware":"1.0","cleared":true,"ability":{"stack":8,"periods":24,"current":true,"power":false},"connectors":{"1":{"safe_a":6.0,"mode":null,"armed":false}},"list":{"version":0,"entries":{},"never":true}}
        wait 3
          > [2,_,"TriggerMessage",{"requestedMessage":"StatusNotification"}]
        ok
          > [2,_,"TriggerMessage",{"requestedMessage":"MeterValues","connectorId":1}]
        ok
    "#]],
    );
    check(
        &mut script,
        "list A\nwait 3",
        expect![[r#"
        list A
        wait 3
    "#]],
    );
}

#[test]
fn the_offline_policy_is_set_where_the_charger_knows_it() {
    let mut script = ready(&[
        ("LocalAuthorizeOffline", "false"),
        ("AllowOfflineTxForUnknownId", "true"),
        ("AuthorizationCacheEnabled", "true"),
    ]);
    check(
        &mut script,
        "ok\nok\nok",
        expect![[r#"
        ok
          > [2,_,"ChangeConfiguration",{"key":"AllowOfflineTxForUnknownId","value":"false"}]
        ok
          > [2,_,"ClearCache",{}]
        ok
    "#]],
    );
}

#[test]
fn a_setting_that_needs_a_restart_gets_one_when_no_car_is_there() {
    let mut script = quiet();
    let idle = r#"< [2,"7","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]"#;
    let busy = r#"< [2,"8","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Charging"}]"#;
    let lines = format!(
        "{busy}\nask {{\"ask\":\"change\",\"key\":\"K\",\"value\":\"1\"}}\nok RebootRequired\nwait 60"
    );
    assert!(!script.play(&lines).contains("Reset"));
    let after = script.play(&format!("{idle}\nok\nreply {{}}\nwait 60"));
    assert_eq!(after.matches(r#""Reset",{"type":"Soft"}"#).count(), 1, "{after}");
}
