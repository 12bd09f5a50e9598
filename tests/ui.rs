//! The page and the API over a real socket: what comes out, who is let in, what is escaped, and
//! that the description of the API is true.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use ureq::Agent;

use ampgate::controller::message::{Answer, Order};
use ampgate::controller::view::View;
use ampgate::model::bound::Cause;
use ampgate::model::event::EventKind;
use ampgate::model::record::{ReadingRecord, SetpointRecord};
use ampgate::model::session::Session;
use ampgate::ui::history::History;
use ampgate::ui::pass::{DriverDoor, SECRET_BYTES};
use ampgate::ui::security::Counter;
use ampgate::ui::state::UiState;
use ampgate::ui::{UiError, serve};
use ampgate::{controller, ground, model, plan};

#[path = "../src/ui/sample.rs"]
mod sample;

mod commands;
use commands::command;

/// A served site and what the test holds of it.
struct Served {
    runtime: Runtime,
    view: watch::Sender<Arc<View>>,
    orders: mpsc::Receiver<(Order, oneshot::Sender<Answer>)>,
    url: String,
}

fn served(view: View) -> Served {
    let runtime = Runtime::new().expect("a runtime");
    let (view, views) = watch::channel(Arc::new(view));
    let (sender, orders) = mpsc::channel(1);
    let state = UiState {
        view: views,
        orders: sender,
        history: history(),
        drivers: drivers(),
        partners: None,
        machine: Arc::new(ampgate::model::machine::Machine::default),
        partner_states: watch::channel(Vec::new()).1,
        security: Counter::closed(),
    };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let (_, bound) = runtime.block_on(serve(state, any)).expect("loopback can be had");
    Served { runtime, view, orders, url: format!("http://{bound}") }
}

fn drivers() -> DriverDoor {
    DriverDoor { secret: [7; SECRET_BYTES], page_url: None }
}

fn history() -> History {
    let at = |minutes| {
        let noon = ground::time::Utc::parse("2019-03-01T08:00:00Z").expect("a valid time");
        noon + ground::time::Duration::minutes(minutes)
    };
    let evse = ground::ids::EvseId::new("EVSE-02");
    let session = Session {
        id: ground::ids::SessionId(7),
        evse: evse.clone(),
        transaction: ground::ids::TransactionId(1_007),
        token: ground::ids::IdToken::new("<b>04A1B2C3D4"),
        started: at(0),
        ended: Some(at(60)),
        energy_wh: ground::units::WattHours::new(7_400),
        measured: None,
    };
    let reading = ReadingRecord {
        evse: evse.clone(),
        transaction: None,
        at: at(10),
        current_a: Some(ground::units::PerPhase::all(ground::units::Amps::new(8))),
        power_w: None,
        energy_wh: None,
    };
    let setpoint = |minutes, amps, cause| SetpointRecord {
        evse: evse.clone(),
        session: None,
        at: at(minutes),
        limit_a: ground::units::Amps::new(amps),
        cause,
    };
    let full = Cause::Breaker { node: "<i>IBST".into(), phase: None, sharing: 2 };
    let setpoints = vec![setpoint(20, 8, full), setpoint(0, 16, Cause::Rated)];
    let event = sample::busy().events.remove(0);
    History {
        sessions: Arc::new(move |page| {
            let all = vec![(session.clone(), None)];
            Ok(all.into_iter().skip(page.skip).take(page.count).collect())
        }),
        events: Arc::new(move |_| Ok(vec![event.clone()])),
        setpoints: Arc::new(move |_, _| Ok(setpoints.clone())),
        readings: Arc::new(move |_, _| Ok(vec![reading.clone()])),
    }
}

fn agent() -> Agent {
    let patience = Some(Duration::from_secs(20));
    Agent::config_builder().http_status_as_error(false).timeout_global(patience).build().into()
}

impl Served {
    fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, &[])
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let mut request = ureq::http::Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.uri(format!("{}{path}", self.url)).body(()).expect("a request");
        let mut response = agent().run(request).expect("the server answers");
        let status = response.status().as_u16();
        (status, response.body_mut().read_to_string().expect("text"))
    }

    fn json(&self, path: &str) -> Value {
        let (status, text) = self.get(path);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }
}

#[test]
fn the_page_shows_the_site_and_loads_nothing_from_elsewhere() {
    let site = served(sample::busy());
    let (status, page) = site.get("/");
    assert_eq!(status, 200);
    for text in [
        "Office car park",
        "Friday 1 March 2019, 10:24:05 CET",
        "all is well",
        "EVSE-09",
        "breaker IBST 63A, phase L2, shared by 4 cars",
        "waiting for a turn, number 1 in the queue",
        "not reachable",
        "0.1 A free",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    for asset in ["/assets/page.css", "/assets/page.js", "/assets/mark.svg"] {
        assert!(page.contains(asset), "{asset}");
        assert_eq!(site.get(asset).0, 200, "{asset}");
    }
    // What the security policy would refuse: inline script, inline style, other hosts.
    for banned in ["<script>", " style=", "<style", " onclick", "http://", "https://"] {
        assert!(!page.contains(banned), "{banned}");
    }
}

#[test]
fn the_plan_of_the_day_is_on_the_page_with_its_reasons() {
    let site = served(sample::planned());
    let (_, page) = site.get("/");
    for text in [
        "Today's plan",
        "made 10:15 by linear program for self-production · sun was off by 1.4 kW on average",
        "The sun covers nine tenths of what the cars need.",
        "3.3 kWh less than what is wanted will be charged.",
        "<path class=\"car even\"",
        "<title>EVSE-09</title>",
        "price, 0.200 to 0.270 EUR/kWh",
        "<td data-label=\"By\">16:30</td>",
        "Against charging at once: 28.4 kWh more from the sun, 5.68 EUR less",
        "13.5 kWh<br><span class=\"soft\">the driver</span>",
        "pause: waiting for sun until 11:30; then 2.7 kW until 16:30",
        "Sun</th><td class=\"number\" data-label=\"1 h ahead\">0.8 kW (1.1)</td>",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    let (_, page) = site.get("/evse/EVSE-01");
    for text in [
        "20.0 kWh by 16:30, said by the driver",
        "13.5 kWh more by 16:30 (13.5 kWh, the driver).",
        "<time>10:15–11:30</time> <b>pause</b> <span>waiting for sun until 11:30</span>",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert_eq!(site.json("/api/v1/plan")["cars"][1]["evse"], json!("EVSE-02"));
    let idle = served(sample::empty());
    assert!(idle.get("/").1.contains("No plan: no car is charging."));
    assert!(idle.get("/evse/EVSE-01").1.contains("No plan: no car is charging."));
    assert_eq!(idle.json("/api/v1/plan"), Value::Null);
}

#[test]
fn an_empty_and_a_degraded_site_say_so_in_words() {
    let (_, page) = served(sample::empty()).get("/");
    assert!(page.contains("No session yet: plug in a car."), "{page}");
    assert!(page.contains("Nothing has happened yet."));
    assert!(page.contains("nobody is charging"));
    let (_, page) = served(sample::degraded()).get("/");
    assert!(page.contains("2 things are wrong"));
    assert!(page.contains("grid meter silent for 18 s"));
    assert!(page.contains("Meter grid is silent: the worst load is assumed here."));
    assert!(page.contains("14.5 A over"));
}

#[test]
fn names_from_outside_stay_text_everywhere() {
    let view = sample::hostile();
    let site = served(view.clone());
    let evse =
        "%3Cscript%3Ealert%28%27evse%27%29%3C%2Fscript%3E%22%3E%3Cimg%20src%3Dx%20onerror%3Da%3E";
    for path in ["/".to_owned(), format!("/evse/{evse}"), "/evse/EVSE-02".to_owned()] {
        let (status, page) = site.get(&path);
        assert_eq!(status, 200, "{path}");
        for markup in ["<script>", "<img", "<i>", "<b>04"] {
            assert!(!page.contains(markup), "{markup} in {path}");
        }
        assert!(page.contains("&lt;script&gt;alert(&#39;site&#39;)"), "{path}");
    }
    let link = format!("href=\"/evse/{evse}\"");
    assert!(site.get("/").1.contains(&link), "{link}");
    // JSON carries the names as they are.
    assert_eq!(site.json("/api/v1/evses")[0]["id"], json!(view.evses[0].id));
    assert_eq!(site.json(&format!("/api/v1/evses/{evse}"))["id"], json!(view.evses[0].id));
}

/// Reads events from a stream until `wanted` finds what it looks for in one.
fn event<T>(reader: &mut impl BufRead, wanted: impl Fn(&str, &Value) -> Option<T>) -> T {
    let (mut name, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).expect("the stream goes on") > 0 {
        if let Some(event) = line.trim_end().strip_prefix("event: ") {
            name = event.to_owned();
        } else if let Some(data) = line.trim_end().strip_prefix("data: ") {
            let data = serde_json::from_str(data).expect("JSON");
            if let Some(found) = wanted(&name, &data) {
                return found;
            }
        }
        line.clear();
    }
    panic!("the stream has ended");
}

fn stream(url: &str) -> BufReader<impl Read + use<>> {
    let response = agent().get(url).call().expect("a stream");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    BufReader::new(response.into_body().into_reader())
}

#[test]
fn a_change_reaches_the_page_as_the_part_that_changed() {
    let site = served(sample::busy());
    let mut reader = stream(&format!("{}/live", site.url));
    let (stamp, all) = event(&mut reader, |name, data| {
        assert_eq!(name, "parts");
        let parts = data["parts"].as_object()?.keys().cloned().collect::<BTreeSet<String>>();
        Some((data["stamp"].clone(), parts))
    });
    // Each part of the stream has its place on the page, and the page knows its stamp.
    let (_, page) = site.get("/");
    for part in &all {
        assert!(page.contains(&format!("data-part=\"{part}\"")), "{part}");
    }
    assert!(page.contains(&format!("data-stamp=\"{}\"", stamp.as_str().expect("text"))));
    let mut changed = sample::busy();
    changed.evses[2].reason = "because of <this>".to_owned();
    site.view.send(Arc::new(changed)).expect("the server listens");
    let parts = event(&mut reader, |_, data| {
        let parts: BTreeMap<String, String> =
            serde_json::from_value(data["parts"].clone()).expect("texts by name");
        if parts.is_empty() { None } else { Some(parts) }
    });
    assert_eq!(parts.keys().collect::<Vec<_>>(), ["e2"]);
    assert!(parts["e2"].contains("because of &lt;this&gt;"), "{}", parts["e2"]);
}

#[test]
fn a_change_reaches_a_program_as_the_whole_view() {
    let site = served(sample::busy());
    let mut reader = stream(&format!("{}/api/v1/live", site.url));
    let mut changed = sample::busy();
    changed.site = "Elsewhere".to_owned();
    let first = event(&mut reader, |name, data| (name == "view").then(|| data["site"].clone()));
    assert_eq!(first, json!("Office car park"));
    site.view.send(Arc::new(changed)).expect("the server listens");
    event(&mut reader, |_, data| (data["site"] == json!("Elsewhere")).then_some(()));
}

#[test]
fn live_pages_are_bounded() {
    let site = served(sample::busy());
    let url = format!("{}/live", site.url);
    let open: Vec<_> = (0..ampgate::ui::live::CLIENTS_MAX).map(|_| stream(&url)).collect();
    let (status, text) = site.get("/live");
    assert_eq!(status, 503, "{text}");
    drop(open);
}

#[test]
fn only_loopback_can_be_listened_on() {
    let runtime = Runtime::new().expect("a runtime");
    let (_view, views) = watch::channel(Arc::new(sample::empty()));
    let (orders, _) = mpsc::channel(1);
    let (history, drivers, security) = (history(), drivers(), Counter::closed());
    let partner_states = watch::channel(Vec::new()).1;
    let state = UiState {
        view: views,
        orders,
        history,
        drivers,
        security,
        partners: None,
        partner_states,
        machine: Arc::new(ampgate::model::machine::Machine::default),
    };
    let refused = runtime.block_on(serve(state, SocketAddr::from(([0, 0, 0, 0], 0))));
    let error = refused.map(|_| ()).expect_err("it must not listen there");
    assert!(matches!(error, UiError::NotLoopback(_)));
    assert!(error.to_string().contains("loopback only"), "{error}");
}

#[test]
fn every_answer_carries_the_security_headers_and_strangers_stay_out() {
    let site = served(sample::busy());
    for path in ["/", "/api/v1/site", "/nowhere"] {
        let response = agent().get(format!("{}{path}", site.url)).call().expect("an answer");
        let policy = response.headers()["content-security-policy"].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"));
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }
    assert_eq!(site.ask("GET", "/", &[("host", "ampgate.example")]).0, 421);
    let foreign = [("origin", "http://ampgate.example")];
    assert_eq!(site.ask("POST", "/api/v1/evses/EVSE-01/meter-now", &foreign).0, 403);
}

#[test]
fn an_order_reaches_the_controller_and_its_answer_the_person() {
    let mut site = served(sample::busy());
    let mut orders = std::mem::replace(&mut site.orders, mpsc::channel(1).1);
    let answering = site.runtime.spawn(async move {
        let mut seen = Vec::new();
        for answer in [Answer::Done, Answer::Refused { why: "the charger is away".into() }] {
            let (order, reply) = orders.recv().await.expect("an order");
            seen.push(order);
            reply.send(answer).expect("somebody waits");
        }
        seen
    });
    let path = "/api/v1/evses/EVSE-01/meter-now";
    assert_eq!(site.ask("POST", path, &[]), (200, "{\"answer\":\"done\"}".to_owned()));
    let (status, text) = site.ask("POST", path, &[]);
    assert_eq!((status, text.contains("the charger is away")), (409, true), "{text}");
    let seen = site.runtime.block_on(answering).expect("no panic");
    let wanted = Order::MeterNow { evse: ground::ids::EvseId::new("EVSE-01") };
    assert_eq!(seen, [wanted.clone(), wanted]);
    // Nobody takes orders any more.
    assert_eq!(site.ask("POST", path, &[]).0, 503);
}

#[test]
fn mistakes_are_answered_with_what_was_expected() {
    let site = served(sample::busy());
    for (method, path, status) in [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/evses/EVSE-99", 404),
        ("GET", "/api/v1/evses/EVSE-99/explain", 404),
        ("GET", "/api/v1/evses/%FF", 404),
        ("POST", "/api/v1/evses/EVSE-99/meter-now", 404),
        ("GET", "/api/v1/evses/EVSE-01/meter-now", 405),
        ("DELETE", "/api/v1/site", 405),
        ("GET", "/api/v1/sessions?count=0", 400),
        ("GET", "/api/v1/events?count=1001", 400),
        ("GET", "/api/v1/sessions?skip=some", 400),
        ("GET", "/api/v1/evses/EVSE-01/setpoints?count=-1", 400),
        ("GET", "/api/v1/evses/EVSE-99/readings", 404),
    ] {
        let (got, text) = site.ask(method, path, &[]);
        let body: BTreeMap<String, String> = serde_json::from_str(&text).expect("a complaint");
        assert_eq!(got, status, "{path}");
        assert_eq!(body.keys().collect::<Vec<_>>(), ["error", "expected"], "{path}");
    }
    // A page says it as a page.
    for path in ["/evse/EVSE-99", "/evse/EVSE-99/qr", "/d/EVSE-99"] {
        let (status, text) = site.get(path);
        assert_eq!(status, 404, "{path}");
        assert!(text.contains("Here there is no EVSE &quot;EVSE-99&quot;."), "{text}");
    }
    assert_eq!(site.ask("HEAD", "/api/v1/site", &[]), (200, String::new()));
}

#[test]
fn the_past_is_read_through_the_readers_with_tokens_hidden() {
    let site = served(sample::busy());
    let sessions = &site.json("/api/v1/sessions?count=5")["sessions"];
    assert_eq!(sessions[0]["token"], json!("•••••••••C3D4"));
    assert_eq!(site.json("/api/v1/sessions?skip=1")["sessions"], json!([]));
    let events = &site.json("/api/v1/events")["events"];
    assert_eq!(events[0]["code"], json!(EventKind::LinkDown.code()));
    let setpoints = &site.json("/api/v1/evses/EVSE-02/setpoints")["setpoints"];
    assert_eq!(setpoints[0]["limit_a"], json!(8.0));
    let (_, page) = site.get("/evse/EVSE-02");
    for text in
        ["total of &lt;i&gt;IBST, shared by 2 cars", "From here to the grid", "sets the limit"]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
}

#[test]
fn health_and_metrics_answer() {
    let site = served(sample::busy());
    let (status, body) = site.get("/healthz");
    let health: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &health["status"]), (200, &json!("degraded")), "{body}");
    assert_eq!(health["checks"][0]["name"], "control");
    assert_eq!(site.get("/healthz?strict=1").0, 503, "a charger is away");
    let (_, metrics) = site.get("/metrics");
    assert!(metrics.contains("ampgate_node_headroom_amperes{node=\"grid\",phase=\"L3\"} 15"));
}

#[test]
fn a_site_without_its_controller_is_not_healthy() {
    let Served { runtime: _runtime, view, url, .. } = served(sample::busy());
    drop(view);
    let status = || agent().get(format!("{url}/healthz")).call().expect("an answer").status();
    // The server learns of it in a task of its own; each question gives that task its turn.
    assert!((0..10_000).any(|_| status() == 503));
}

/// The schema that is meant, following a reference.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let schema = schema["anyOf"].get(0).unwrap_or(schema);
    match schema["$ref"].as_str() {
        Some(name) => document.pointer(&name[1..]).expect("a schema of that name"),
        None => schema,
    }
}

/// Objects have exactly the properties that their schema promises, all the way down.
fn check(document: &Value, schema: &Value, value: &Value, path: &str) {
    let schema = resolve(document, schema);
    match value {
        Value::Object(fields) if schema.get("additionalProperties").is_none() => {
            let promised = schema["properties"].as_object().unwrap_or_else(|| panic!("{path}"));
            let (promised_names, names): (BTreeSet<_>, BTreeSet<_>) =
                (promised.keys().collect(), fields.keys().collect());
            assert_eq!(promised_names, names, "{path}");
            for (name, value) in fields {
                check(document, &promised[name], value, &format!("{path}.{name}"));
            }
        }
        Value::Array(items) => {
            for item in items {
                check(document, &schema["items"], item, &format!("{path}[]"));
            }
        }
        _ => {}
    }
}

#[test]
fn the_description_of_the_api_is_true() {
    describes(&served(sample::degraded()), "EVSE-02");
    describes(&served(sample::planned()), "EVSE-01");
}

/// Compares every answer with its description.
fn describes(site: &Served, evse: &str) {
    let document = site.json("/api/v1/openapi.json");
    let paths = document["paths"].as_object().expect("paths");
    for (path, methods) in paths {
        let Some(responses) = methods.pointer("/get/responses") else {
            continue;
        };
        if path == "/api/v1/partners" {
            // These sites have no partners, and say so with 404.
            continue;
        }
        let content = &responses["200"]["content"];
        let Some(schema) = content.pointer("/application~1json/schema") else {
            continue;
        };
        let answer = site.json(&path.replace("{id}", evse));
        if path != "/api/v1/openapi.json" {
            check(&document, schema, &answer, path);
        }
    }
}

#[test]
fn the_command_line_asks_the_running_daemon() {
    let site = served(sample::busy());
    let url = site.url.as_str();
    let says = |words: &[&str], text: &str| {
        let answer = command(&[words, &["--url", url]].concat()).expect("an answer");
        assert!(answer.contains(text), "{text} in {answer}");
    };
    says(&["status"], "tightest  IBST 63A, L2: 0.1 A free");
    says(&["explain"], "EVSE-12  not reachable");
    says(&["explain", "EVSE-09"], "← sets the limit");
    says(&["sessions"], "•••••••••C3D4  1 Mar 2019 09:00");
    says(&["events"], "link.down");
    let planned = served(sample::planned());
    let forecasts = command(&["forecasts", "--url", &planned.url]).expect("an answer");
    assert!(forecasts.contains("Sun    0.8 kW (1.1)  1.6 kW (3.1)"), "{forecasts}");
    assert!(forecasts.contains("off by 1.2 kW where our own is by 2.0, 6 h ahead: counts 71 %"));
    assert!(forecasts.contains("! found 80 EUR/kWh"), "{forecasts}");
    let json = command(&["explain", "EVSE-09", "--json", "--url", url]).expect("an answer");
    let data: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(data["path"][1]["phases"][1]["binds"], json!(true));
}

#[test]
fn the_command_line_says_what_to_do_when_it_cannot_be_answered() {
    let site = served(sample::busy());
    let unknown = command(&["explain", "EVSE-99", "--url", &site.url]).expect_err("there is none");
    assert_eq!(
        unknown,
        "there is no EVSE \"EVSE-99\"; expected: one of the names in /api/v1/evses"
    );
    let place = tempfile::tempdir().expect("a place for files");
    let file = place.path().join("site.toml");
    // Port 9 is the discard service: nobody listens there.
    std::fs::write(&file, "[listen]\nweb = \"127.0.0.1:9\"\n").expect("a file");
    let config = file.to_str().expect("text");
    let away = command(&["status", "--config", config]).expect_err("nobody listens");
    assert!(away.starts_with("no Ampgate answers at http://127.0.0.1:9 ("), "{away}");
    assert!(away.contains("is it running (ampgate run --config FILE)?"), "{away}");
    std::fs::write(&file, "[site]\n").expect("a file");
    let off = command(&["status", "--config", config]).expect_err("the page is off");
    assert!(off.ends_with("it has no listen.web, so the page is off"), "{off}");
}
