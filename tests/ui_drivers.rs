//! The page of a driver over a real socket: a code opens it, a form says what is needed, a link
//! that has run out says so, and nobody else gets in; the same by API and command line.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use ureq::Agent;

use ampgate::controller::message::{Answer, Order};
use ampgate::controller::view::{PreferenceView, View};
use ampgate::ground::ids::{EvseId, SessionId};
use ampgate::ground::time::Utc;
use ampgate::ground::units::WattHours;
use ampgate::model::drivers::PageUrl;
use ampgate::model::preference::{PreferenceSource, StateOfCharge, Wish};
use ampgate::ui::history::History;
use ampgate::ui::pass::{DriverDoor, Passes, SECRET_BYTES};
use ampgate::ui::security::Counter;
use ampgate::ui::serve;
use ampgate::ui::state::UiState;
use ampgate::{controller, ground, model, plan};

#[path = "../src/ui/sample.rs"]
#[allow(dead_code, reason = "the other tests of the page use the rest")]
mod sample;

mod commands;
use commands::command;

const SECRET: [u8; SECRET_BYTES] = [7; SECRET_BYTES];

type Asked = (Order, oneshot::Sender<Answer>);

/// A served site whose controller notes what it is told.
struct Served {
    _runtime: Runtime,
    orders: Arc<Mutex<Vec<Order>>>,
    url: String,
}

fn served(view: View) -> Served {
    served_at(view, None)
}

fn served_at(view: View, page: Option<&str>) -> Served {
    let runtime = Runtime::new().expect("a runtime");
    let (view, views) = watch::channel(Arc::new(view));
    let (sender, asked) = mpsc::channel(4);
    let orders = Arc::new(Mutex::new(Vec::new()));
    runtime.spawn(note(asked, view, orders.clone()));
    let page_url = page.map(|page| PageUrl::parse(page).expect("an address"));
    let drivers = DriverDoor { secret: SECRET, page_url };
    let (security, history) = (Counter::closed(), nothing());
    let partner_states = watch::channel(Vec::new()).1;
    let state = UiState {
        view: views,
        orders: sender,
        history,
        drivers,
        security,
        partners: None,
        machine: Arc::new(ampgate::model::machine::Machine::default),
        partner_states,
    };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let (_, bound) = runtime.block_on(serve(state, any)).expect("loopback can be had");
    Served { _runtime: runtime, orders, url: format!("http://{bound}") }
}

/// Refuses 66 kWh and takes everything else.
async fn note(
    mut asked: mpsc::Receiver<Asked>,
    view: watch::Sender<Arc<View>>,
    orders: Arc<Mutex<Vec<Order>>>,
) {
    while let Some((order, reply)) = asked.recv().await {
        orders.lock().expect("nobody panics").push(order.clone());
        let (evse, preference) = match order {
            Order::Prefer { wish, .. } if wish.energy_wh == Some(WattHours::new(66_000)) => {
                let why = "an energy of 66 kWh: expected less <here>".to_owned();
                let _ = reply.send(Answer::Refused { why });
                continue;
            }
            Order::Prefer { evse, session, wish, source } => {
                let Wish { energy_wh, charge, departure } = wish;
                let session = session.map(|session| session.0);
                let words = "as was said".to_owned();
                let at = None;
                let said =
                    PreferenceView { session, energy_wh, charge, departure, source, at, words };
                (evse, Some(said))
            }
            Order::ClearPreference { evse, .. } => (evse, None),
            _ => continue,
        };
        let _ = reply.send(Answer::Done);
        view.send_modify(|view| {
            let mut next = View::clone(view);
            let known = next.evses.iter_mut().find(|known| known.id == evse.as_str());
            known.expect("it is there").preference = preference;
            *view = Arc::new(next);
        });
    }
}

fn nothing() -> History {
    History {
        sessions: Arc::new(|_| Ok(Vec::new())),
        events: Arc::new(|_| Ok(Vec::new())),
        setpoints: Arc::new(|_, _| Ok(Vec::new())),
        readings: Arc::new(|_, _| Ok(Vec::new())),
    }
}

fn agent() -> Agent {
    let patience = Some(Duration::from_secs(20));
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(0);
    config.timeout_global(patience).build().into()
}

/// Status, body, and where it leads.
type Got = (u16, String, String);

fn got(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Got {
    let mut response = response.expect("the server answers");
    let leads = response.headers().get("location").and_then(|place| place.to_str().ok());
    let leads = leads.unwrap_or_default().to_owned();
    let status = response.status().as_u16();
    (status, response.body_mut().read_to_string().expect("text"), leads)
}

impl Served {
    fn get(&self, path: &str) -> Got {
        got(agent().get(format!("{}{path}", self.url)).call())
    }

    fn post(&self, path: &str, form: &[(&str, &str)]) -> Got {
        got(agent().post(format!("{}{path}", self.url)).send_form(form.iter().copied()))
    }

    /// The address that the code of an EVSE leads to.
    fn scanned(&self, evse: &str) -> String {
        let code = Passes::new(&SECRET).code(evse);
        let (status, _, leads) = self.get(&format!("/d/{evse}?c={code}"));
        assert_eq!(status, 303);
        leads
    }

    fn pass(&self, evse: &str) -> String {
        let leads = self.scanned(evse);
        leads.split_once("?p=").expect("a pass").1.to_owned()
    }

    fn orders(&self) -> Vec<Order> {
        self.orders.lock().expect("nobody panics").clone()
    }
}

#[test]
fn a_code_opens_the_page_of_its_evse_and_of_no_other() {
    let site = served(sample::busy());
    let leads = site.scanned("EVSE-01");
    assert!(leads.starts_with("/d/EVSE-01?p="), "{leads}");
    let (status, page, _) = site.get(&leads);
    assert_eq!(status, 200);
    for text in [
        "Office car park",
        "EVSE-01",
        "It may draw 11.8 A. Why not more: breaker IBST 63A, phase L1, shared by 4 cars.",
        "Nothing was said yet",
        "name=\"time\" type=\"time\"",
        "<form method=\"post\" action=\"/d/EVSE-01\">",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    // Readable without a script, nothing from elsewhere, nothing of other cars.
    for banned in ["<script", " style=", " onclick", "http://", "https://", "EVSE-02", "token"] {
        assert!(!page.contains(banned), "{banned} in {page}");
    }
    let (status, page, _) = site.get(&leads.replace("EVSE-01", "EVSE-02"));
    assert_eq!(status, 403);
    assert!(page.contains("This link has run out."), "{page}");
    assert!(page.contains("Scan the QR code at the socket again"), "{page}");
    for link in ["/d/EVSE-01", "/d/EVSE-01?p=", "/d/EVSE-01?c=00", "/d/EVSE-01?q=%FF&p=a"] {
        assert_eq!(site.get(link).0, 403, "{link}");
    }
}

#[test]
fn a_driver_reads_what_the_car_will_get_and_why() {
    let site = served(sample::planned());
    let (_, page, _) = site.get(&site.scanned("EVSE-02"));
    for text in [
        "What your car will get",
        "5.7 kWh more by 13:15, 3.3 kWh less than is wanted (9.0 kWh, the driver).",
        "<time>10:15–13:15</time> <b>1.9 kW</b> <span>breaker IBST 63A, phase L1</span>",
        "A plan: sun, prices and other cars may change it.",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    // The plan of a car that was there before is not this car's.
    let mut view = sample::planned();
    view.evses[1].session = Some(99);
    let site = served(view);
    let (_, page, _) = site.get(&site.scanned("EVSE-02"));
    assert!(!page.contains("What your car will get"), "{page}");
}

#[test]
fn a_form_is_told_to_the_controller_and_confirmed() {
    let site = served(sample::busy());
    let pass = site.pass("EVSE-01");
    let form = [
        ("pass", pass.as_str()),
        ("session", "41"),
        ("energy", "12,5"),
        ("time", "17:30"),
        ("day", ""),
        ("from", ""),
        ("act", "save"),
    ];
    let (status, _, leads) = site.post("/d/EVSE-01", &form);
    assert_eq!((status, leads.as_str()), (303, format!("/d/EVSE-01?p={pass}&noted=1").as_str()));
    let order = Order::Prefer {
        evse: EvseId::new("EVSE-01"),
        session: Some(SessionId(41)),
        wish: Wish {
            energy_wh: Some(WattHours::new(12_500)),
            charge: None,
            departure: Utc::parse("2019-03-01T16:30:00Z"),
        },
        source: PreferenceSource::Driver,
    };
    assert_eq!(site.orders(), [order]);
    let (_, page, _) = site.get(&leads);
    for text in [
        "Noted: as was said.",
        "Said by the driver: <b>as was said</b>",
        "name=\"energy\" inputmode=\"decimal\" autocomplete=\"off\" maxlength=\"8\" value=\"12.5\"",
        "type=\"time\" value=\"17:30\"",
        "Take back",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    let back = [("pass", pass.as_str()), ("act", "clear")];
    let (status, _, leads) = site.post("/d/EVSE-01", &back);
    assert_eq!(status, 303);
    assert!(site.get(&leads).1.contains("Noted: nothing is wished any more."));
    let (evse, source) = (EvseId::new("EVSE-01"), PreferenceSource::Driver);
    let clear = Order::ClearPreference { evse, session: None, source };
    assert_eq!(site.orders().last(), Some(&clear));
}

#[test]
fn what_cannot_be_taken_is_said_and_what_was_written_stays() {
    let site = served(sample::busy());
    let pass = site.pass("EVSE-01");
    let tell = |fields: &[(&str, &str)]| {
        let form = [&[("pass", pass.as_str()), ("act", "save")], fields].concat();
        site.post("/d/EVSE-01", &form)
    };
    for (fields, words) in [
        (vec![], "Not taken: nothing was filled in."),
        (vec![("energy", "<b>")], "energy: &quot;&lt;b&gt;&quot; is no number"),
        (vec![("time", "25:00")], "a departure at &quot;25:00&quot;"),
        (vec![("from", "20")], "half a state of charge"),
        (vec![("energy", "66")], "an energy of 66 kWh: expected less &lt;here&gt;"),
    ] {
        let (status, page, _) = tell(&fields);
        assert_eq!(status, 422, "{words}");
        assert!(page.contains(words), "{words} in {page}");
    }
    let (_, page, _) = tell(&[("energy", "66"), ("from", "20"), ("to", "80"), ("battery", "60")]);
    for text in ["value=\"66\"", "<details open>", "value=\"20\"", "value=\"80\"", "value=\"60\""] {
        assert!(page.contains(text), "{text} in {page}");
    }
}

#[test]
fn without_a_pass_nothing_is_told_and_changes_are_limited() {
    let site = served(sample::busy());
    let form = |pass: &'static str| [("pass", pass), ("energy", "10"), ("act", "save")];
    for pass in ["", "00112233445566778899aabb"] {
        assert_eq!(site.post("/d/EVSE-01", &form(pass)).0, 403, "{pass}");
    }
    assert_eq!(site.orders(), []);
    let pass = site.pass("EVSE-02");
    let tell = || site.post("/d/EVSE-02", &[("pass", &pass), ("energy", "10"), ("act", "save")]);
    let answers: Vec<u16> = (0..11).map(|_| tell().0).collect();
    assert_eq!((answers[9], answers[10]), (303, 429));
    let (_, page, _) = tell();
    assert!(page.contains("Too many tries."), "{page}");
}

#[test]
fn the_page_knows_whether_a_car_is_there() {
    let site = served(sample::busy());
    let (_, page, _) = site.get(&site.scanned("EVSE-03"));
    assert!(page.contains("No car is charging here. Plug in"), "{page}");
    assert!(!page.contains("<form"), "{page}");
    let mut view = sample::busy();
    view.evses[2].status = model::message::EvseStatus::Preparing;
    let site = served(view);
    let (_, page, _) = site.get(&site.scanned("EVSE-03"));
    assert!(page.contains("Your car is plugged in. Show your card"), "{page}");
    assert!(page.contains("<form"), "{page}");
}

#[test]
fn the_poster_carries_the_code_and_the_address_of_the_page() {
    let code = Passes::new(&SECRET).code("EVSE-01");
    let site = served_at(sample::busy(), Some("https://charge.example.org"));
    let (status, page, _) = site.get("/evse/EVSE-01/qr");
    assert_eq!(status, 200);
    assert!(page.contains("<svg class=\"qr\""), "{page}");
    let link = format!("https://charge.example.org/d/EVSE-01?c={code}");
    assert!(page.contains(&link), "{page}");
    assert!(!page.contains("Phones cannot reach"), "{page}");
    // Behind the proxy the page of the driver opens and that of the operator does not.
    let ask = |path: &str| {
        let request = agent().get(format!("{}{path}", site.url));
        got(request.header("host", "charge.example.org").call()).0
    };
    assert_eq!((ask(&format!("/d/EVSE-01?c={code}")), ask("/assets/page.css")), (303, 200));
    assert_eq!((ask("/"), ask("/evse/EVSE-01/qr"), ask("/api/v1/site")), (421, 421, 421));
    let alone = served(sample::busy());
    let (_, page, _) = alone.get("/evse/EVSE-01/qr");
    assert!(page.contains("Phones cannot reach this address"), "{page}");
    assert!(page.contains(&format!("{}/d/EVSE-01?c={code}", alone.url)), "{page}");
}

#[test]
fn the_page_of_a_driver_may_send_its_form_and_load_nothing_else() {
    let site = served(sample::busy());
    let response = agent().get(format!("{}/d/EVSE-01", site.url)).call().expect("an answer");
    let policy = response.headers()["content-security-policy"].to_str().expect("text");
    assert!(policy.contains("form-action 'self'") && !policy.contains("script-src"), "{policy}");
    // With no-referrer a browser would send its forms with the origin "null".
    assert_eq!(response.headers()["referrer-policy"], "same-origin");
}

#[test]
fn the_same_can_be_said_through_the_api() {
    let site = served(sample::busy());
    let url = format!("{}/api/v1/evses/EVSE-01/preference", site.url);
    let put = |body: &Value| {
        let (status, text, _) = got(agent().put(&url).send_json(body));
        (status, serde_json::from_str::<Value>(&text).expect("JSON"))
    };
    assert_eq!(site.get("/api/v1/evses/EVSE-01/preference").1, "null");
    let full = json!({
        "soc_arrival_percent": 20, "soc_target_percent": 80, "battery_kwh": 60,
        "departure": "2019-03-02T07:00",
    });
    let (status, said) = put(&full);
    assert_eq!((status, &said["words"]), (200, &json!("as was said")), "{said}");
    let capacity_wh = Some(WattHours::new(60_000));
    let charge = StateOfCharge { arrival_percent: 20.0, target_percent: 80.0, capacity_wh };
    let wish = Wish {
        energy_wh: None,
        charge: Some(charge),
        departure: Utc::parse("2019-03-02T06:00:00Z"),
    };
    let (evse, source) = (EvseId::new("EVSE-01"), PreferenceSource::Operator);
    let order = Order::Prefer { evse, session: None, wish, source };
    assert_eq!(site.orders(), [order]);
    for (body, status) in [
        (json!({}), 422),
        (json!({"kwh": 3}), 400),
        (json!({"energy_kwh": "much"}), 400),
        (json!({"departure": "noon"}), 422),
        (json!({"battery_kwh": 60}), 422),
        (json!({"energy_kwh": 66}), 409),
    ] {
        let (got, said) = put(&body);
        assert_eq!(got, status, "{body}: {said}");
        assert!(said["error"].is_string() && said["expected"].is_string(), "{said}");
    }
    let (status, text, _) = got(agent().delete(&url).call());
    assert_eq!((status, text.as_str()), (200, "{\"answer\":\"done\"}"));
    assert_eq!(site.get("/api/v1/evses/EVSE-01/preference").1, "null");
    let foreign = agent().delete(&url).header("origin", "http://a.example");
    assert_eq!(got(foreign.call()).0, 403);
}

#[test]
fn the_command_line_says_what_a_car_needs() {
    let site = served(sample::busy());
    let say =
        |words: &[&str]| command(&[&["prefer", "EVSE-01", "--url", &site.url], words].concat());
    let told = say(&["--kwh", "20", "--departure", "17:30"]).expect("it is taken");
    assert_eq!(told, "EVSE-01: noted, as was said\n");
    say(&["--soc", "20-80", "--battery-kwh", "60"]).expect("it is taken");
    let told = say(&["--clear"]).expect("it is taken");
    assert_eq!(told, "EVSE-01: nothing is wished any more\n");
    assert_eq!(site.orders().len(), 3);
    let why = say(&["--kwh", "66"]).expect_err("it is refused");
    assert!(why.starts_with("an energy of 66 kWh: expected less <here>"), "{why}");
    let why = say(&[]).expect_err("nothing was said");
    assert!(why.starts_with("nothing was said"), "{why}");
    for wrong in [vec!["--soc", "80"], vec!["--battery-kwh", "60"], vec!["--clear", "--kwh", "1"]] {
        assert!(say(&wrong).is_err(), "{wrong:?}");
    }
}
