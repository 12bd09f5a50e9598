//! Forecasts and prices from outside reach the plan, are refused in words, and are fetched again
//! after a failure, over real sockets and files.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread::JoinHandle;

use ampgate::config::{self, Config};
use ampgate::controller::Controller;
use ampgate::controller::forecast_view::{FeedView, ForecastView};
use ampgate::controller::message::{Input, Outbox, Output};
use ampgate::ground::time::{Duration, Instant, Now, Utc};
use ampgate::io::clock::Clock;
use ampgate::io::inbox;
use ampgate::io::sources::Sources;
use ampgate::model::event::EventKind;
use ampgate::model::feed::FeedKind;
use ampgate::model::record::Remembered;

/// A Monday.
const MORNING: Utc = Utc::from_millis(1_780_286_400_000); // 2026-06-01T04:00:00Z

/// The office with sources of its own.
fn office(sources: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/office.toml");
    let text = std::fs::read_to_string(path).expect("an example of ours");
    let sources = format!("{sources}\n[[node]]");
    let text = text.replacen("[[node]]", &sources, 1);
    match config::parse(&text, "office.toml") {
        Ok(checked) => checked.config,
        Err(problems) => {
            panic!("{}", problems.iter().map(|one| one.to_string()).collect::<String>())
        }
    }
}

/// A controller whose time is told.
struct House {
    controller: Controller,
    now: Now,
    events: Vec<(EventKind, String)>,
}

impl House {
    fn new(config: Config) -> Self {
        let now = Now { mono: Instant::START, utc: Some(MORNING) };
        let controller = Controller::new(config.site, &Remembered::default(), now);
        Self { controller, now, events: Vec::new() }
    }

    fn take(&mut self, input: Input) {
        let mut out = Outbox::new();
        self.controller.step(self.now, input, &mut out);
        for output in out {
            if let Output::Event(event) = output {
                self.events.push((event.kind, event.text));
            }
        }
    }

    /// Minutes pass.
    fn wait(&mut self, minutes: i64) {
        for _ in 0..minutes {
            let span = Duration::minutes(1);
            self.now = Now { mono: self.now.mono + span, utc: self.now.utc.map(|utc| utc + span) };
            self.take(Input::Wake);
        }
    }

    fn publish(&mut self, topic: &str, text: &str) {
        let (topic, payload) = (topic.to_owned(), text.as_bytes().to_vec());
        self.take(Input::Mqtt { topic, payload, retained: true });
    }

    fn forecast(&self, kind: FeedKind) -> ForecastView {
        let all = self.controller.view(self.now).forecasts;
        all.into_iter().find(|one| one.kind == kind).expect("it is forecast")
    }

    fn feed(&self, kind: FeedKind) -> FeedView {
        self.forecast(kind).received.expect("a source is configured")
    }

    fn last(&self) -> &(EventKind, String) {
        self.events.last().expect("something was told")
    }
}

const BROKER: &str = "[[forecast.source]]\nid = \"sky\"\nkind = \"pv\"\ntopic = \"sky\"\n\
                      series = \"/watts\"\nunit = \"W\"\n\
                      [[forecast.source]]\nid = \"market\"\nkind = \"price\"\ntopic = \"market\"\n\
                      unit = \"EUR/MWh\"\n";

#[test]
fn what_is_published_is_taken_and_told_and_nonsense_is_refused_once() {
    let mut site = House::new(office(BROKER));
    assert_eq!((site.feed(FeedKind::Pv).heard, site.feed(FeedKind::Pv).trouble), (None, None));
    site.publish("sky", "{\"watts\": {\"2026-06-01 10:00\": 9000, \"2026-06-01 11:00\": 12000}}");
    let feed = site.feed(FeedKind::Pv);
    assert_eq!((feed.heard, feed.trouble), (Some(MORNING), None));
    assert_eq!(feed.until, Utc::parse("2026-06-01T10:00:00Z"));
    let source = site.forecast(FeedKind::Pv).source;
    assert!(source.ends_with("sky counts 65 % at 6 h"), "{source}");
    site.publish("market", "[[1780286400, 80], [1780290000, 95.5]]");
    assert_eq!(site.forecast(FeedKind::Price).source, "market");
    // In W where mW are meant, twice: refused, told once, and the good one stays.
    for _ in 0..2 {
        site.publish("sky", "{\"watts\": {\"2026-06-01 10:00\": 9000000}}");
    }
    let refused = |event: &&(EventKind, String)| event.0 == EventKind::FeedRefused;
    assert_eq!(site.events.iter().filter(refused).count(), 1);
    let (_, text) = site.last();
    assert!(text.contains("found 9000 kW for 2026-06-01T08:00:00Z, expected 0 to 52.5"), "{text}");
    assert!(text.ends_with("the site's own forecast goes on"), "{text}");
    assert!(site.feed(FeedKind::Pv).trouble.is_some_and(|why| why.contains("mqtt topic sky")));
    assert_eq!(site.feed(FeedKind::Pv).heard, Some(MORNING));
    site.publish("sky", "{\"watts\": {\"2026-06-01 12:00\": 9000}}");
    assert_eq!(site.last(), &(EventKind::FeedHeard, "PV forecast is there again".to_owned()));
}

#[test]
fn a_price_that_runs_out_is_missed_once_and_the_contract_goes_on() {
    let mut site = House::new(office(BROKER));
    site.publish("market", "[[1780286400, 80], [1780290000, 95.5]]");
    site.wait(3 * 60);
    let silent = |event: &&(EventKind, String)| event.0 == EventKind::FeedSilent;
    let told: Vec<&str> =
        site.events.iter().filter(silent).map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        told,
        [
            "mqtt topic sky: no PV forecast was heard so far; the site's own forecast goes on",
            "mqtt topic market: the price has run out at 2026-06-01T06:00:00Z; earlier days and the \
             tariff stand in",
        ]
    );
}

#[test]
fn what_comes_before_the_clock_is_trusted_is_not_lost() {
    let mut site = House::new(office(BROKER));
    site.now.utc = None;
    site.publish("market", "[[1780286400, 80], [1780290000, 95.5]]");
    assert_eq!(site.feed(FeedKind::Price).heard, None);
    site.now.utc = Some(MORNING);
    site.wait(1);
    assert!(site.feed(FeedKind::Price).heard.is_some());
}

/// Answers one request after the other with these; says what was asked.
fn serve(answers: Vec<String>) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let task = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut socket, _) = listener.accept().expect("a call");
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && socket.read(&mut byte).unwrap_or(0) == 1 {
                request.push(byte[0]);
            }
            asked.push(String::from_utf8_lossy(&request).into_owned());
            socket.write_all(answer.as_bytes()).expect("it listens");
        }
        asked
    });
    (port, task)
}

fn answer(status: &str, header: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// The first inputs of a site's sources. A thousand seconds pass in one.
async fn heard(config: &Config, count: usize) -> Vec<Input> {
    let (inbox, mut arrivals) = inbox::channel();
    let _sources = Sources::of(config, &inbox, &Clock::scaled(1000.0, MORNING));
    let mut heard = Vec::new();
    while heard.len() < count {
        let input = arrivals.recv().await.expect("the sources run").input;
        if matches!(input, Input::Feed { .. } | Input::FeedFailed { .. }) {
            heard.push(input);
        }
    }
    heard
}

fn failed(input: &Input) -> &str {
    match input {
        Input::FeedFailed { feed, why } if feed == "market" => why,
        other => panic!("{other:?} where it should have failed"),
    }
}

fn payload(input: &Input) -> &str {
    match input {
        Input::Feed { feed, payload } if feed == "market" => {
            std::str::from_utf8(payload).expect("text")
        }
        other => panic!("{other:?} where it should have been heard"),
    }
}

fn market(place: &str) -> Config {
    office(&format!("[[forecast.source]]\nid = \"market\"\nkind = \"price\"\n{place}\n"))
}

#[tokio::test]
async fn a_failed_fetch_is_tried_again_and_redirects_stay_on_the_host() {
    let (port, task) = serve(vec![
        answer("503 Service Unavailable", "", "later"),
        answer("302 Found", "Location: http://localhost:1/prices\r\n", ""),
        answer("302 Found", "Location: /new\r\n", ""),
        answer("200 OK", "", "[[1780286400, 0.08]]"),
    ]);
    let place = tempfile::tempdir().expect("a directory");
    let token = place.path().join("token");
    std::fs::write(&token, "s3cret\n").expect("a file");
    let config = market(&format!(
        "url = \"http://127.0.0.1:{port}/prices?key=1\"\ntoken_file = \"{}\"",
        token.display()
    ));
    let heard = heard(&config, 3).await;
    assert_eq!(failed(&heard[0]), "it answered 503 Service Unavailable");
    assert_eq!(
        failed(&heard[1]),
        "it redirects to another place, localhost, which is not followed"
    );
    assert_eq!(payload(&heard[2]), "[[1780286400, 0.08]]");
    let asked = task.join().expect("it served");
    assert!(asked[2].starts_with("GET /prices?key=1 "), "{}", asked[2]);
    assert!(asked[3].starts_with("GET /new "), "{}", asked[3]);
    assert!(asked.iter().all(|one| one.to_lowercase().contains("authorization: bearer s3cret")));
}

#[tokio::test]
async fn a_file_that_is_not_there_yet_is_read_when_it_comes() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("prices.csv");
    let config = market(&format!("file = \"{}\"\nvalue = \"price_eur_per_mwh\"", file.display()));
    let (inbox, mut arrivals) = inbox::channel();
    let _sources = Sources::of(&config, &inbox, &Clock::scaled(1000.0, MORNING));
    let mut next = async || loop {
        let input = arrivals.recv().await.expect("the sources run").input;
        if matches!(input, Input::Feed { .. } | Input::FeedFailed { .. }) {
            return input;
        }
    };
    assert!(failed(&next().await).contains("No such file"));
    std::fs::write(&file, "time,price_eur_per_mwh\n2026-06-01T04:00:00Z,80\n").expect("a file");
    assert!(payload(&next().await).ends_with("80\n"));
    std::fs::write(&file, "time,price_eur_per_mwh\n2026-06-01T04:00:00Z,9.5\n").expect("a file");
    assert!(payload(&next().await).ends_with("9.5\n"));
}
