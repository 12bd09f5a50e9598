//! Registration over OCPI, from either side, through crashes: nobody is locked out, and no token is
//! good for more than it is meant for.

use ampgate::ground::time::Duration;
use ampgate::model::message::EvseStatus::Available;
use ampgate::ocpi::engine::desk::{Input, Output, Wish};
use ampgate::ocpi::http::Method;
use serde_json::{Value, json};

use crate::site::{OcpiBox, credentials, endpoints, evse, facts};

const NONE: Value = Value::Null;

#[test]
fn an_invited_partner_registers_and_the_invitation_ends() {
    let mut site = OcpiBox::new("office.toml");
    let text = site.told(Wish::Invite { partner: "operator".to_owned() }).unwrap();
    let token_a = text.split_whitespace().nth(2).unwrap().to_owned();
    assert!(text.contains("https://box.example/ocpi/versions"), "{text}");
    let versions = site.ask(&token_a, Method::Get, "/ocpi/versions", NONE).success(false).unwrap();
    assert_eq!(versions[1]["url"], "https://box.example/ocpi/2.3.0");
    let locked = site.ask(&token_a, Method::Get, "/ocpi/2.2.1/sender/locations", NONE);
    assert_eq!(locked.status, 401, "a token A opens no module");

    let number =
        site.request(&token_a, Method::Post, "/ocpi/2.2.1/credentials", credentials("token-b"));
    assert!(site.reply(number).is_none(), "their endpoints are looked at first");
    // While they wait they may ask for ours.
    let details = site.ask(&token_a, Method::Get, "/ocpi/2.2.1", NONE).success(true).unwrap();
    let modules: Vec<&str> = details["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| endpoint["identifier"].as_str().unwrap())
        .collect();
    for module in ["credentials", "locations", "sessions", "cdrs", "tariffs", "tokens", "commands"]
    {
        assert!(modules.contains(&module), "{module}");
    }
    site.answer_versions("2.2.1");
    let made = site.made_to("2.2.1");
    site.answer(&made, endpoints("2.2.1"));
    let ours = site.reply(number).unwrap().success(true).unwrap();
    let token_c = ours["token"].as_str().unwrap();
    assert_eq!(ours["roles"][0]["role"], "CPO");
    let open = site.ask(token_c, Method::Get, "/ocpi/2.2.1/sender/locations", NONE);
    assert_eq!(open.status, 200);
    assert_eq!(site.ask(&token_a, Method::Get, "/ocpi/versions", NONE).status, 401, "A is dead");
    let again = site.ask(token_c, Method::Post, "/ocpi/2.2.1/credentials", credentials("x"));
    assert_eq!(again.status, 405, "registered already");
}

#[test]
fn an_answer_that_is_lost_in_a_crash_locks_nobody_out() {
    let mut site = OcpiBox::new("office.toml");
    let text = site.told(Wish::Invite { partner: "operator".to_owned() }).unwrap();
    let token_a = text.split_whitespace().nth(2).unwrap().to_owned();
    let post = |site: &mut OcpiBox| {
        let path = "/ocpi/2.2.1/credentials";
        let number = site.request(&token_a, Method::Post, path, credentials("token-b"));
        site.answer_versions("2.2.1");
        let made = site.made_to("2.2.1");
        site.answer(&made, endpoints("2.2.1"));
        site.reply(number).unwrap()
    };
    post(&mut site);
    // The process dies before the answer has left: the partner knows only its token A.
    site.restart();
    let ours = post(&mut site).success(true).unwrap();
    let token_c = ours["token"].as_str().unwrap();
    assert_eq!(site.ask(token_c, Method::Get, "/ocpi/2.2.1/sender/cdrs", NONE).status, 200);
}

#[test]
fn we_register_and_answer_versions_while_our_own_post_is_under_way() {
    let mut site = OcpiBox::new("office.toml");
    site.step(facts(vec![evse("EVSE-01", Available)], vec![]));
    let (url, token) = ("https://partner.example/versions".to_owned(), "their-a".to_owned());
    let wish = Wish::Register { partner: "operator".to_owned(), url, token };
    site.step(Input::Person { person: 900, wish });
    site.answer_versions("2.3.0");
    let made = site.made();
    site.answer(&made, endpoints("2.3.0"));
    let post = site.made();
    assert_eq!(post.line(), "POST /2.3.0/sender/credentials");
    let token_b = post.json()["token"].as_str().unwrap().to_owned();
    let details = site.ask(&token_b, Method::Get, "/ocpi/2.3.0", NONE);
    assert_eq!(details.status, 200, "the partner looks at our endpoints before it answers");
    let early = site.ask(&token_b, Method::Get, "/ocpi/2.3.0/sender/cdrs", NONE);
    assert_eq!(early.status, 503, "its answer is not here yet: it may call again");
    assert_eq!(early.header("Retry-After"), Some("2"));
    site.answer(&post, credentials("token-c"));
    assert!(site.outcome(900).unwrap().unwrap().contains("2.3.0"));
    assert_eq!(site.ask(&token_b, Method::Get, "/ocpi/2.3.0/sender/cdrs", NONE).status, 200);
    // Everything that the partner must know follows, with its own token.
    let first = site.drain().remove(0);
    assert!(first.line().starts_with("PUT /2.3.0/receiver/tariffs/FR/AMP/"), "{}", first.line());
}

/// It has answered our credentials and is asked before it has kept them: no refusal to stop for.
#[test]
fn a_partner_that_does_not_know_its_new_token_yet_is_asked_again() {
    let mut site = OcpiBox::new("office.toml");
    site.step(facts(vec![evse("EVSE-01", Available)], vec![]));
    site.register("2.2.1");
    let made = site.made();
    site.answer_code(&made, 401, 2000);
    site.wait(Duration::seconds(6));
    assert_eq!(site.made().line(), made.line());
}

#[test]
fn tokens_are_renewed_and_the_old_one_ends_a_minute_after_the_new_is_used() {
    let mut site = OcpiBox::new("office.toml");
    let old = site.register("2.2.1");
    site.drain();
    let number =
        site.request(&old, Method::Put, "/ocpi/2.2.1/credentials", credentials("token-b2"));
    site.answer_versions("2.2.1");
    let made = site.made_to("2.2.1");
    site.answer(&made, endpoints("2.2.1"));
    let ours = site.reply(number).unwrap().success(true).unwrap();
    let new = ours["token"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    assert_eq!(site.ask(&old, Method::Get, "/ocpi/versions", NONE).status, 200, "not used yet");
    site.restart();
    assert_eq!(
        site.ask(&old, Method::Get, "/ocpi/versions", NONE).status,
        200,
        "nor after a crash"
    );
    assert_eq!(site.ask(&new, Method::Get, "/ocpi/versions", NONE).status, 200);
    site.wait(Duration::seconds(61));
    assert_eq!(site.ask(&old, Method::Get, "/ocpi/versions", NONE).status, 401);
    let gone = site.ask(&new, Method::Delete, "/ocpi/2.2.1/credentials", NONE);
    assert_eq!(gone.status, 200);
    assert_eq!(site.ask(&new, Method::Get, "/ocpi/versions", NONE).status, 401);
}

#[test]
fn what_cannot_be_used_is_refused_with_its_code() {
    let mut site = OcpiBox::new("office.toml");
    assert_eq!(site.ask("nobody", Method::Get, "/ocpi/versions", NONE).status, 401);
    let text = site.told(Wish::Invite { partner: "operator".to_owned() }).unwrap();
    let token = text.split_whitespace().nth(2).unwrap().to_owned();
    let put = site.ask(&token, Method::Put, "/ocpi/2.2.1/credentials", credentials("b"));
    assert_eq!(put.status, 405, "not registered");
    let number = site.request(&token, Method::Post, "/ocpi/2.2.1/credentials", credentials("b"));
    let made = site.made();
    site.answer(&made, json!([{ "version": "2.1.1", "url": "https://partner.example/2.1.1" }]));
    let refused = site.reply(number).unwrap();
    assert_eq!(refused.success(true).unwrap_err().code, Some(3002));
    let number = site.request(&token, Method::Post, "/ocpi/2.2.1/credentials", credentials("b"));
    let made = site.made();
    site.lose(&made);
    let refused = site.reply(number).unwrap();
    assert_eq!(refused.success(true).unwrap_err().code, Some(3001));
    let events = site.caused.iter().filter_map(|output| match output {
        Output::Event { text, .. } => Some(text.as_str()),
        _ => None,
    });
    assert!(!events.collect::<String>().contains(&token), "no token in any event");
}
