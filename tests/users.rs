//! Users and roles of page and API over real sockets: who gets in with what, what each role may,
//! who stays out, and the door for other machines inside TLS.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use ampgate::config::{self, Config};
use ampgate::daemon::{self, Daemon, DaemonOptions, Handle};
use ampgate::desk::Desk;
use ampgate::io::authority::Authority;
use ampgate::io::clock::Clock;
use ampgate::io::doors;
use ampgate::io::local::LocalDoor;
use ampgate::io::secret::Hash;
use ampgate::io::users::{User, UserFile};
use ampgate::model::user::{Role, UserName};
use ampgate::serve::{self, PageOptions};
use data_encoding::BASE64;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

mod commands;
use commands::command;

const PASSWORD: &str = "correct horse battery";

/// A test that waits this long for one thing has failed.
const PATIENCE: Duration = Duration::from_secs(30);

const SITE: &str = "[site]\nname = \"Test yard\"\ntime_zone = \"Europe/Paris\"\n\
    [listen]\nocpp = \"127.0.0.1:9000\"\n[access]\nanyone = true\n\
    [web]\ntls = true\nnames = [\"box.example\"]\n\
    [[node]]\nid = \"grid\"\nname = \"IBST\"\nrating_a = 63\nworst_case_load_a = 0\n\
    [[evse]]\nid = \"EVSE-01\"\nnode = \"grid\"\ncharge_point = \"CP-01\"\nphases = \"L1\"\n\
    rated_a = 32\nsafe_a = 6\n";

/// A daemon with its page.
struct Site {
    folder: tempfile::TempDir,
    _daemon: Daemon,
    handle: Handle,
    /// The door for this machine.
    url: String,
    /// The door for other machines.
    outer: SocketAddr,
}

/// What came back.
struct Answer {
    status: u16,
    headers: ureq::http::HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The cookie as a browser sends it back.
    fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }
}

fn site_config() -> Config {
    let checked = config::parse(SITE, "site.toml").map_err(|problems| problems[0].to_string());
    let mut config = checked.unwrap().config;
    config.ocpp = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    config
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

fn put(data: &Path, user: &str, role: Role) {
    let password = Hash::of_password(PASSWORD.as_bytes());
    let file = UserFile::in_data(data);
    file.change(|users| users.put(name(user), User { role, password })).unwrap().unwrap();
}

impl Site {
    async fn open(users: &[(&str, Role)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        users.iter().for_each(|(user, role)| put(folder.path(), user, *role));
        let authority = Authority::in_data(folder.path());
        let now = Clock::real().now().utc.unwrap();
        authority.init("Site", &["127.0.0.1".to_owned(), "localhost".to_owned()], now).unwrap();
        let config = site_config();
        let (files, page) = (doors::page_files(&config, folder.path()), config.outer_page.clone());
        let daemon = daemon::start(DaemonOptions {
            config,
            config_text: SITE.to_owned(),
            data: folder.path().to_owned(),
            clock: Clock::real(),
            journal: None,
        });
        let daemon = daemon.await.unwrap();
        let handle = daemon.handle();
        let outer = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let options = PageOptions {
            address: outer,
            outer: Some((files, page.unwrap().names)),
            page_url: None,
        };
        let desk = Desk::new(handle.clone(), None);
        let (_, bound) = serve::page(&handle, desk, None, options).await.unwrap();
        Self { folder, _daemon: daemon, handle, url: format!("http://{bound}"), outer }
    }

    fn agent(&self) -> Agent {
        let root = std::fs::read(Authority::in_data(self.folder.path()).root()).unwrap();
        let root = Certificate::from_pem(&root).unwrap();
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root])).build();
        let config = Agent::config_builder().http_status_as_error(false).tls_config(tls);
        let config = config.max_redirects(0).max_redirects_will_error(false);
        config.timeout_global(Some(PATIENCE)).build().into()
    }

    fn ask(&self, what: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.ask_at(&self.url, what, headers, body)
    }

    /// `what` is a method and a path.
    fn ask_at(&self, url: &str, what: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (method, path) = what.split_once(' ').unwrap();
        let mut request = ureq::http::Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.uri(format!("{url}{path}")).body(body.to_owned()).unwrap();
        let mut response = match method {
            "GET" => self.agent().run(request.map(drop)).unwrap(),
            _ => self.agent().run(request).unwrap(),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.body_mut().read_to_string().unwrap() }
    }

    fn status(&self, what: &str, headers: &[(&str, &str)]) -> u16 {
        self.ask(what, headers, "{}").status
    }

    fn log_in(&self, url: &str, user: &str, password: &str, next: &str) -> Answer {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let body = format!("name={user}&password={}&next={next}", password.replace(' ', "+"));
        self.ask_at(url, "POST /login", &form, &body)
    }

    fn outer_url(&self) -> String {
        format!("https://{}", self.outer)
    }

    async fn outer_is_open(&self) {
        let open = async {
            while TcpStream::connect(self.outer).is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, open).await.unwrap();
    }

    /// Waits for an event with these words.
    async fn tells(&self, code: &str, words: &str) {
        let seen = async {
            loop {
                let events = self.handle.store.events(0, 100).unwrap();
                let mut found = events.iter().filter(|event| event.kind.code() == code);
                if found.any(|event| event.text.contains(words)) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, seen).await;
        assert!(seen.is_ok(), "no {code} with {words}");
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_users_this_machine_is_not_asked_and_others_find_the_door_shut() {
    let site = Site::open(&[]).await;
    for what in ["GET /", "GET /api/v1/site", "GET /metrics"] {
        assert_eq!(site.status(what, &[]), 200, "{what}");
    }
    assert_ne!(site.status("POST /api/v1/evses/EVSE-01/meter-now", &[]), 401);
    for what in ["GET /login", "GET /users", "GET /account"] {
        assert!(site.ask(what, &[], "").text.contains("ampgate user add NAME"), "{what}");
    }
    // The first user opens the door to other machines; who was not asked for a name makes none.
    let add = r#"{"order":"add","name":"eve","role":"admin","password":"correct horse battery"}"#;
    let refused = site.ask("POST /api/v1/users", &[], add);
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("ampgate user add NAME"), "{}", refused.text);
    site.tells("security.page_shut", "ampgate user add NAME --role admin").await;
    assert!(TcpStream::connect(site.outer).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_user_everybody_has_to_log_in_but_for_health_and_drivers() {
    let site = Site::open(&[("alice", Role::Viewer)]).await;
    let nobody = site.ask("GET /api/v1/site", &[], "");
    assert_eq!((nobody.status, nobody.header("www-authenticate").is_empty()), (401, false));
    assert!(nobody.text.contains("nobody is logged in"), "{}", nobody.text);
    // A script of the page gets no window of the browser over it.
    let script = site.ask("GET /api/v1/site", &[("sec-fetch-mode", "cors")], "");
    assert_eq!((script.status, script.header("www-authenticate")), (401, ""));
    for what in ["GET /metrics", "GET /live", "GET /api/v1/openapi.json", "POST /api/v1/update"] {
        assert_eq!(site.status(what, &[]), 401, "{what}");
    }
    let person = site.ask("GET /evse/EVSE-01?x=1", &[("accept", "text/html,*/*")], "");
    assert_eq!(person.status, 303);
    assert_eq!(person.header("location"), "/login?next=%2Fevse%2FEVSE-01%3Fx%3D1");
    for what in ["GET /healthz", "GET /login", "GET /assets/page.css"] {
        assert!([200, 503].contains(&site.status(what, &[])), "{what}");
    }
    assert_eq!(site.status("GET /d/EVSE-01", &[]), 403, "drivers have a door of their own");
    let login = site.ask("GET /login?next=/x", &[], "");
    assert!(!login.text.contains("Test yard"), "nothing of the site is shown to strangers");
    let policy = login.header("content-security-policy");
    assert!(policy.contains("form-action 'self'") && !policy.contains("unsafe"), "{policy}");

    let wrong = site.ask("GET /api/v1/site", &[("authorization", &basic("alice", "no"))], "");
    let unknown = site.ask("GET /api/v1/site", &[("authorization", &basic("nobody", "no"))], "");
    assert_eq!((wrong.status, &wrong.text), (unknown.status, &unknown.text), "one answer");
    assert_eq!(wrong.status, 401);
    site.tells("security.user_login_refused", "a wrong password for alice from 127.0.0.1").await;
    let right = [("authorization", basic("Alice", PASSWORD))];
    let right = right.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(site.status("GET /api/v1/site", &right), 200);
    let session = [("cookie", "ampgate-session=00"), ("authorization", "Bearer 00")];
    assert_eq!(site.status("GET /api/v1/site", &session[..1]), 401);
    assert_eq!(site.status("GET /api/v1/site", &session[1..]), 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_may_what_it_may() {
    let site =
        Site::open(&[("viewer", Role::Viewer), ("runner", Role::Operator), ("chief", Role::Admin)])
            .await;
    let change = r#"{"target":"CP-01","ask":"change","key":"AuthorizationKey","value":"x"}"#;
    let unlock = r#"{"target":"EVSE-01","ask":"unlock"}"#;
    let rows = [
        ("GET /api/v1/site", "", [true, true, true]),
        ("GET /metrics", "", [true, true, true]),
        ("GET /evse/EVSE-01/qr", "", [false, true, true]),
        ("POST /api/v1/remote", unlock, [false, true, true]),
        ("POST /api/v1/remote", change, [false, false, true]),
        ("POST /api/v1/security", r#"{"order":"interview","minutes":0}"#, [false, false, true]),
        ("POST /api/v1/update", r#"{"order":"cancel"}"#, [false, false, true]),
        ("POST /api/v1/partners", r#"{"wish":"invite","partner":"x"}"#, [false, false, true]),
        ("GET /users", "", [false, false, true]),
        ("GET /api/v1/users", "", [false, false, true]),
        ("POST /api/v1/users", r#"{"order":"remove","name":"x"}"#, [false, false, true]),
        ("GET /account", "", [true, true, true]),
        ("POST /api/v1/password", "{}", [true, true, true]),
    ];
    for (user, index) in [("viewer", 0), ("runner", 1), ("chief", 2)] {
        let shown = basic(user, PASSWORD);
        for (what, body, may) in &rows {
            let answer = site.ask(what, &[("authorization", &shown)], body);
            let refused = answer.status == 403;
            assert_eq!(refused, !may[index], "{user}: {what} {body}: {}", answer.text);
            assert_ne!(answer.status, 401);
            if refused {
                assert!(answer.text.contains("somebody with the role"), "{}", answer.text);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_logs_in_and_out_and_a_new_password_ends_its_session() {
    let site = Site::open(&[("alice", Role::Operator)]).await;
    let wrong = site.log_in(&site.url, "alice", "wrong password", "/");
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, ""));
    assert!(wrong.text.contains("The name or the password is wrong"), "{}", wrong.text);
    let away = site.log_in(&site.url, "alice", PASSWORD, "//a.example");
    assert_eq!((away.status, away.header("location")), (303, "/"));
    let entered = site.log_in(&site.url, "alice", PASSWORD, "/uploads");
    assert_eq!((entered.status, entered.header("location")), (303, "/uploads"));
    let whole = entered.header("set-cookie");
    for flag in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(whole.contains(flag), "{flag} in {whole}");
    }
    assert!(!whole.contains("Secure"), "the door for this machine is without TLS");
    site.tells("security.user_login", "alice has logged in from 127.0.0.1").await;
    let cookie = entered.cookie();
    let shown = [("cookie", cookie.as_str())];
    assert_eq!(site.status("GET /", &shown), 200);
    assert!(site.ask("GET /login", &shown, "").text.contains("with the role <b>operator</b>"));
    let foreign = [("cookie", cookie.as_str()), ("origin", "http://a.example")];
    assert_eq!(site.status("POST /logout", &foreign), 403);
    assert_eq!(site.status("GET /", &shown), 200);
    assert_eq!(site.status("POST /logout", &shown), 303);
    assert_eq!(site.status("GET /", &shown), 401);

    // Somebody looks on while the password changes: the stream ends and the session with it.
    let cookie = site.log_in(&site.url, "alice", PASSWORD, "/").cookie();
    let shown = [("cookie", cookie.as_str())];
    let live = site.agent().get(format!("{}/api/v1/live", site.url)).header("cookie", &cookie);
    let mut live = live.config().timeout_global(None).build().call().unwrap();
    assert_eq!(live.status(), 200);
    put(site.folder.path(), "alice", Role::Operator);
    site.tells("security.user_changed", "alice has another password").await;
    assert_eq!(site.status("GET /", &shown), 401);
    let mut rest = Vec::new();
    // It ends with or without a word, but it ends.
    let _ = live.body_mut().as_reader().read_to_end(&mut rest);
    assert!(String::from_utf8_lossy(&rest).contains("event: view"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_are_refused_after_a_while_and_who_is_inside_goes_on() {
    let site = Site::open(&[("alice", Role::Viewer), ("bob", Role::Viewer)]).await;
    let alice = basic("alice", PASSWORD);
    assert_eq!(site.status("GET /api/v1/site", &[("authorization", &alice)]), 200);
    let guess = basic("bob", "a guess");
    let ask = || site.ask("GET /api/v1/site", &[("authorization", &guess)], "");
    let many = (0..50).map(|_| ask()).find(|answer| answer.status != 401).unwrap();
    assert_eq!((many.status, many.header("retry-after")), (429, "60"));
    assert_eq!(site.log_in(&site.url, "bob", PASSWORD, "/").status, 429);
    assert_eq!(site.status("GET /api/v1/site", &[("authorization", &alice)]), 200);
    site.tells("security.user_login_refused", "too many wrong passwords from 127.0.0.1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_on_this_machine_go_on_with_its_token() {
    let site = Site::open(&[("alice", Role::Viewer)]).await;
    let data = site.folder.path().to_str().unwrap();
    let empty = tempfile::tempdir().unwrap();
    let elsewhere = empty.path().to_str().unwrap();
    let status = |more: &[&str]| command(&[&["status"], more].concat());
    assert!(status(&["--data-dir", data]).unwrap().contains("Test yard"));
    assert!(status(&["--url", &site.url, "--data-dir", data]).unwrap().contains("Test yard"));
    let refused = status(&["--url", &site.url, "--data-dir", elsewhere]).unwrap_err();
    for words in
        ["nobody is logged in", "as root", "--user NAME", "AMPGATE_PASSWORD", "admin.token"]
    {
        assert!(refused.contains(words), "{words} in {refused}");
    }
    let interview = ["pending", "--interview", "0", "--data-dir", data];
    assert!(command(&interview).is_ok(), "the token is an admin's");
    let config = site.folder.path().join("site.toml");
    std::fs::write(&config, SITE.replace("[listen]", "[listen]\nweb = \"0.0.0.0:8443\"")).unwrap();
    let config = config.to_str().unwrap();
    assert!(status(&["--config", config, "--data-dir", data]).unwrap().contains("Test yard"));
    let lost = status(&["--config", config, "--data-dir", elsewhere]).unwrap_err();
    assert!(lost.contains("listen.web is inside TLS"), "{lost}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_machines_come_in_through_tls_with_a_name_of_the_box() {
    let site = Site::open(&[("alice", Role::Operator)]).await;
    site.outer_is_open().await;
    let url = site.outer_url();
    let ask = |what: &str, headers: &[(&str, &str)]| site.ask_at(&url, what, headers, "");
    assert_eq!(ask("GET /api/v1/site", &[]).status, 401);
    let health = ask("GET /healthz", &[]).text;
    assert!(health.contains("\"checks\":[]"), "strangers learn nothing of the site: {health}");
    let alice = basic("alice", PASSWORD);
    let shown = ("authorization", alice.as_str());
    for (host, status) in [("10.1.2.3:8443", 200), ("box.example", 200), ("a.example", 421)] {
        assert_eq!(ask("GET /api/v1/site", &[shown, ("host", host)]).status, status, "{host}");
    }
    let token = LocalDoor::read(site.folder.path()).unwrap().unwrap().token;
    let bearer = format!("Bearer {token}");
    assert_eq!(ask("GET /api/v1/site", &[("authorization", &bearer)]).status, 401);
    assert_eq!(site.status("GET /api/v1/site", &[("authorization", &bearer)]), 200);
    let entered = site.log_in(&url, "alice", PASSWORD, "/");
    assert!(entered.header("set-cookie").contains("; Secure"), "{:?}", entered.headers);
    let cookie = entered.cookie();
    assert_eq!(ask("GET /", &[("cookie", &cookie)]).status, 200);

    // When the last user is gone, the door is shut for everybody.
    let gone = name("alice");
    let file = UserFile::in_data(site.folder.path());
    file.change(|users| users.remove(&gone).ok_or(())).unwrap().unwrap();
    site.tells("security.user_changed", "alice was removed").await;
    assert_eq!(ask("GET /api/v1/site", &[("cookie", &cookie)]).status, 403);
    assert_eq!(site.status("GET /api/v1/site", &[]), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_changes_users_over_the_api_and_people_are_told_who_did_it() {
    let site = Site::open(&[("alice", Role::Admin), ("bob", Role::Viewer)]).await;
    let alice = basic("alice", PASSWORD);
    let order = |body: &str| site.ask("POST /api/v1/users", &[("authorization", &alice)], body);
    let add = |name: &str, password: &str| {
        let text = r#"{"order":"add","name":"NAME","role":"operator","password":"WORD"}"#;
        order(&text.replace("NAME", name).replace("WORD", password))
    };
    let added = add("Olga", PASSWORD);
    assert_eq!(added.status, 200, "{}", added.text);
    assert!(added.text.contains("olga is added as operator"), "{}", added.text);
    let code = "security.user_changed";
    site.tells(code, "olga was added as operator, by alice from 127.0.0.1").await;
    let olga = basic("olga", PASSWORD);
    assert_eq!(site.status("GET /api/v1/site", &[("authorization", &olga)]), 200, "at once");

    // A command makes a user meanwhile: both changes stay, and each is told with who did it.
    put(site.folder.path(), "carol", Role::Viewer);
    assert_eq!(order(r#"{"order":"role","name":"bob","role":"operator"}"#).status, 200);
    site.tells(code, "bob was viewer and is operator, by alice from 127.0.0.1").await;
    site.tells(code, "carol was added as viewer, by a command on the box").await;
    let list = site.ask("GET /api/v1/users", &[("authorization", &alice)], "").text;
    for words in ["carol", "alice is the last admin; make another user admin first"] {
        assert!(list.contains(words), "{words} in {list}");
    }
    for (body, status, words) in [
        (r#"{"order":"remove","name":"alice"}"#, 409, "alice is the last admin"),
        (r#"{"order":"role","name":"alice","role":"viewer"}"#, 409, "alice is the last admin"),
        (r#"{"order":"remove","name":"nobody"}"#, 409, "there is no user nobody"),
        (r#"{"order":"role","name":"bob","role":"king"}"#, 422, "expected viewer, operator or"),
        (r#"{"order":"remove","name":"a b"}"#, 422, "expected at most 32 of the letters"),
        (r#"{"order":"remove"}"#, 400, "the body cannot be read"),
    ] {
        let refused = order(body);
        assert_eq!(refused.status, status, "{body}: {}", refused.text);
        assert!(refused.text.contains(words), "{body}: {}", refused.text);
    }
    assert!(add("olga", PASSWORD).text.contains("there is a user olga already"));
    assert!(add("short", "too short").text.contains("expected at least 12"));
    assert_eq!(order(r#"{"order":"remove","name":"bob"}"#).status, 200);
    let bob = basic("bob", PASSWORD);
    assert_eq!(site.status("GET /api/v1/site", &[("authorization", &bob)]), 401);

    let data = site.folder.path().to_str().unwrap();
    let told = command(&["user", "list", "--data", data]).unwrap();
    let names: Vec<&str> = told.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["alice", "carol", "olga"]);
    for event in site.handle.store.events(0, 100).unwrap() {
        assert!(!event.text.contains(PASSWORD) && !event.text.contains("argon2id"));
    }
    assert!(!list.contains("argon2id"), "no hash leaves the box");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_changes_the_own_password_goes_on_and_the_old_sessions_end() {
    let site = Site::open(&[("bob", Role::Viewer)]).await;
    let enter = || site.log_in(&site.url, "bob", PASSWORD, "/").cookie();
    let (cookie, other) = (enter(), enter());
    let change = |before: &str| {
        let body = format!(r#"{{"before":"{before}","password":"another long password"}}"#);
        site.ask("POST /api/v1/password", &[("cookie", &cookie)], &body)
    };
    let wrong = change("a guess");
    assert_eq!((wrong.status, wrong.text.contains("the old password is wrong")), (409, true));
    let done = change(PASSWORD);
    assert_eq!(done.status, 200, "{}", done.text);
    let words = "bob has another password, by bob from 127.0.0.1";
    site.tells("security.user_changed", words).await;
    assert_eq!(site.status("GET /", &[("cookie", &done.cookie())]), 200, "who asked goes on");
    for old in [&cookie, &other] {
        assert_eq!(site.status("GET /", &[("cookie", old)]), 401);
    }
    // Who was inside is told so, and led back.
    let ended = site.ask("GET /login?next=/uploads", &[("cookie", &other)], "").text;
    assert!(ended.contains("Your session has ended") && ended.contains("value=\"/uploads\""));
    assert!(!site.ask("GET /login", &[], "").text.contains("session has ended"));
    let guess = r#"{"before":"a guess","password":"another long password"}"#;
    let fresh = [("cookie", done.cookie())];
    let fresh = fresh.each_ref().map(|(name, value)| (*name, value.as_str()));
    let ask = || site.ask("POST /api/v1/password", &fresh, guess).status;
    assert!((0..50).any(|_| ask() == 429), "guesses are not looked at without end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_follows_the_role_of_whoever_looks() {
    let site = Site::open(&[("alice", Role::Admin), ("olga", Role::Operator)]).await;
    let cookie = site.log_in(&site.url, "olga", PASSWORD, "/").cookie();
    let shown = [("cookie", cookie.as_str())];
    let page = || site.ask("GET /evse/EVSE-01", &shown, "").text;
    assert!(page().contains("data-post=\"/api/v1/evses/EVSE-01/meter-now\""));
    assert!(page().contains("<a href=\"/account\">olga</a> <span>operator</span>"));
    let live = site.agent().get(format!("{}/live", site.url)).header("cookie", &cookie);
    let mut live = live.config().timeout_global(None).build().call().unwrap();
    let lower = r#"{"order":"role","name":"olga","role":"viewer"}"#;
    let alice = basic("alice", PASSWORD);
    assert_eq!(site.ask("POST /api/v1/users", &[("authorization", &alice)], lower).status, 200);
    let mut rest = Vec::new();
    // It ends with or without a word, so that the page comes again and is loaded anew.
    let _ = live.body_mut().as_reader().read_to_end(&mut rest);
    let page = page();
    assert!(!page.contains("data-post"), "{page}");
    assert!(page.contains("for the role operator; olga is viewer."), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_cannot_take_all_connections_of_the_page() {
    let site = Site::open(&[]).await;
    let address: SocketAddr = site.url.strip_prefix("http://").unwrap().parse().unwrap();
    let from = async |source: [u8; 4]| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((source, 0))).unwrap();
        socket.connect(address).await.unwrap()
    };
    let mut held = Vec::new();
    for _ in 0..128 {
        held.push(from([127, 0, 0, 1]).await);
    }
    let (mut over, mut words) = (from([127, 0, 0, 1]).await, String::new());
    over.read_to_string(&mut words).await.unwrap();
    assert!(words.starts_with("HTTP/1.1 429 Too Many Requests"), "{words}");
    let (mut other, mut answer) = (from([127, 0, 0, 2]).await, String::new());
    let ask = b"GET /api/v1/site HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    other.write_all(ask).await.unwrap();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    site.tells("security.crowded", "127.0.0.1 holds 128 connections").await;
}
