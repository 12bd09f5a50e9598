//! Whatever a charge point sends: nothing panics, every call gets exactly one answer, at most one
//! call of ours is in flight, and no transaction is lost for a bad field.

mod ocpp_script;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use ampgate::model::message::Report;
use ampgate::ocpp::frame::{Frame, parse};
use ocpp_script::{Script, setup};

/// Well-formed payloads to spoil.
fn payloads() -> Vec<(&'static str, Value)> {
    let samples = json!([{"timestamp": "2024-05-17T18:00:00Z", "sampledValue": [
        {"value": "16.1", "measurand": "Current.Import", "phase": "L1", "unit": "A"},
        {"value": "1260", "context": "Sample.Periodic", "location": "Outlet", "format": "Raw"},
    ]}]);
    vec![
        (
            "BootNotification",
            json!({"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": "1"}),
        ),
        ("Heartbeat", json!({})),
        ("Authorize", json!({"idTag": "A"})),
        (
            "StartTransaction",
            json!({"connectorId": 1, "idTag": "A", "meterStart": 7,
                "timestamp": "2024-05-17T18:00:00Z", "reservationId": 3}),
        ),
        (
            "StopTransaction",
            json!({"transactionId": 1, "idTag": "A", "meterStop": 9, "reason": "Local",
                "timestamp": "2024-05-17T18:00:00Z", "transactionData": samples}),
        ),
        ("MeterValues", json!({"connectorId": 1, "transactionId": 1, "meterValue": samples})),
        (
            "StatusNotification",
            json!({"connectorId": 1, "status": "Charging", "errorCode": "NoError",
                "timestamp": "2024-05-17T18:00:00Z", "info": "x"}),
        ),
        ("DataTransfer", json!({"vendorId": "V", "data": "x"})),
        ("SecurityEventNotification", json!({"type": "x"})),
    ]
}

/// Values that do not belong where they are put.
fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| serde_json::Number::from_f64(number).into()),
        ".{0,30}".prop_map(Value::from),
        "[0-9]{1,20}(\\.[0-9]{0,3})?".prop_map(Value::from),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|\\+02)?"
            .prop_map(Value::from),
        Just(json!([])),
        Just(json!([{"sampledValue": [{"value": 5}, 7, null]}, "x"])),
        Just(json!({"a": {"b": [1, 2, 3]}})),
        Just(Value::from("x".repeat(3000))),
    ]
}

/// Puts `odd` over, or removes, the field that `pick` points at, at any depth.
fn spoil(value: &mut Value, pick: &mut usize, odd: &Option<Value>) {
    match value {
        Value::Object(fields) => spoil_object(fields, pick, odd),
        Value::Array(items) => items.iter_mut().for_each(|item| spoil(item, pick, odd)),
        _ => {}
    }
}

fn spoil_object(fields: &mut Map<String, Value>, pick: &mut usize, odd: &Option<Value>) {
    let keys: Vec<String> = fields.keys().cloned().collect();
    for key in keys {
        if *pick == 0 {
            match odd {
                Some(odd) => fields.insert(key, odd.clone()),
                None => fields.remove(&key),
            };
            *pick = usize::MAX;
            return;
        }
        *pick -= 1;
        if let Some(inner) = fields.get_mut(&key) {
            spoil(inner, pick, odd);
        }
    }
}

fn spoiled() -> impl Strategy<Value = (&'static str, Value)> {
    let spoils =
        prop::collection::vec((0usize..16, prop::option::weighted(0.8, odd_value())), 0..4);
    (0..payloads().len(), spoils).prop_map(|(index, spoils)| {
        let (action, mut payload) = payloads().swap_remove(index);
        for (mut pick, odd) in spoils {
            spoil(&mut payload, &mut pick, &odd);
        }
        (action, payload)
    })
}

/// How often a call with this id is answered.
fn answers(script: &Script, id: &str) -> usize {
    let id = serde_json::to_string(id).expect("text");
    let starts = [format!("[3,{id},"), format!("[4,{id},")];
    script.sent.iter().filter(|sent| starts.iter().any(|start| sent.starts_with(start))).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn spoiled_calls_are_answered_once_and_nothing_is_lost(
        calls in prop::collection::vec(spoiled(), 1..12),
        connectors in 0u32..3,
    ) {
        let mut script = Script::new(setup(connectors, None));
        script.play("up\nwait 3");
        for (index, (action, payload)) in calls.iter().enumerate() {
            script.reports.clear();
            script.sent.clear();
            script.play(&format!("< [2,\"call-{index}\",\"{action}\",{payload}]"));
            let count = answers(&script, &format!("call-{index}"));
            prop_assert_eq!(count, 1, "{} {}", action, payload);
            let kept = script.reports.iter().any(|report| matches!(
                (*action, report),
                ("StartTransaction", Report::Started { .. })
                    | ("StopTransaction", Report::Stopped { .. })
                    | ("Authorize", Report::Authorize { .. })
            ));
            let waits = ["StartTransaction", "StopTransaction", "Authorize"].contains(action);
            prop_assert_eq!(kept, waits);
        }
    }

    #[test]
    fn cut_and_changed_frames_are_answered_where_they_are_calls(
        (action, payload) in spoiled(),
        cut in 0usize..400,
        changes in prop::collection::vec((0usize..400, any::<char>()), 0..4),
    ) {
        let mut letters: Vec<char> = format!("[2,\"7\",\"{action}\",{payload}]").chars().collect();
        for (position, letter) in changes {
            if let Some(old) = letters.get_mut(position) {
                *old = letter;
            }
        }
        if cut % 4 == 0 {
            letters.truncate(cut);
        }
        let frame: String = letters.into_iter().filter(|letter| !letter.is_control()).collect();
        let mut script = Script::new(setup(1, None));
        script.play("up\nwait 3");
        script.sent.clear();
        script.play(&format!("< {frame}"));
        if let Ok(Frame::Call { id, .. }) = parse(frame.trim()) {
            prop_assert_eq!(answers(&script, &id), 1, "{}", frame);
        }
    }

    #[test]
    fn any_text_and_any_answer_is_borne(
        texts in prop::collection::vec(".{0,60}", 1..6),
        replies in prop::collection::vec(odd_value(), 1..20),
    ) {
        let mut script = Script::new(setup(2, None));
        script.play("up\nwait 3");
        for text in texts {
            script.play(&format!("< {}", text.replace('\n', " ")));
        }
        script.play("start\nlimit 16");
        for reply in replies {
            if script.in_flight.is_empty() {
                script.play("limit 12\nwait 30");
            } else {
                script.reply(&reply.to_string());
            }
        }
    }

    #[test]
    fn every_order_has_exactly_one_outcome(
        steps in prop::collection::vec(0usize..9, 1..60),
    ) {
        let mut script = Script::new(setup(2, None));
        script.play("up\nwait 3\nstart");
        let mut orders = 0;
        for step in steps {
            let answerable = !script.in_flight.is_empty();
            match step {
                0 | 1 => { orders += 1; script.play("limit 16"); }
                2 => { orders += 1; script.play("limit 8 urgent"); }
                3 if answerable => { script.play("ok"); }
                4 if answerable => { script.play("ok Rejected"); }
                5 if answerable => { script.play("error InternalError"); }
                6 => { script.play("wait 31"); }
                7 => { script.play("down\nup\nwait 3"); }
                8 => { script.play("wait 5"); }
                _ => {}
            }
        }
        script.play("down");
        let mut tickets: Vec<u64> = script.reports.iter().filter_map(|report| match report {
            Report::Limit { ticket, .. } => Some(ticket.0),
            _ => None,
        }).collect();
        tickets.sort_unstable();
        prop_assert_eq!(tickets, (1..=orders).collect::<Vec<u64>>());
    }
}
