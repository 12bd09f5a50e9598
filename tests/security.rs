//! Security profiles 0 to 3 at the door for charge points, with real sockets and TLS: who comes
//! in with what, who is turned away and how, and that a renewed password locks nobody out.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod site_security;

use ampgate::controller::message::Refusal;
use ampgate::ground::time::Duration;
use ampgate::io::clock::Clock;
use ampgate::io::secret::Hash;
use ampgate::model::event::EventKind;
use site_security::{Charger, KEY, OTHER_KEY, Site, key_of};

/// Whitepaper §2.3: user is the identity, the password is bytes, or the digits that stand for them.
#[tokio::test]
async fn a_charger_with_a_password_comes_in_with_it_alone() {
    let mut site = Site::open(&[("CP-01", KEY)]).await;
    let digits = KEY.to_lowercase();
    for password in [KEY.as_bytes(), digits.as_bytes(), &key_of(KEY)] {
        site.knocks(Charger::plain("CP-01").password(password)).await.comes_in(1);
        site.knocks(Charger::tls("CP-01").password(password)).await.comes_in(2);
    }
    for charger in [
        Charger::plain("CP-01"),
        Charger::tls("CP-01"),
        Charger::plain("CP-01").password(OTHER_KEY.as_bytes()),
        Charger::tls("CP-01").password(b""),
        Charger::plain("CP-01").user("CP-02").password(KEY.as_bytes()),
    ] {
        let knock = site.knocks(charger).await;
        assert_eq!(knock.status(), 401);
        assert!(matches!(knock.refusal(), Refusal::Login(_)), "{knock:?}");
        assert!(!format!("{knock:?}").contains(KEY), "no password is told to anybody");
    }
}

/// Profile 0 is for this machine and for networks that are named; nobody who has a password.
#[tokio::test]
async fn a_charger_without_a_password_comes_in_from_open_networks_alone() {
    let mut site = Site::open(&[]).await;
    site.knocks(Charger::plain("CP-01")).await.comes_in(0);
    site.change("CP-01", |own| own.least_profile = 1);
    let knock = site.knocks(Charger::plain("CP-01")).await;
    assert_eq!(knock.status(), 401);
}

#[tokio::test]
async fn a_certificate_of_the_sites_root_with_the_identity_is_profile_3() {
    let mut site = Site::open(&[("CP-02", KEY)]).await;
    site.knocks(Charger::tls("CP-01").certificate(site.issue("CP-01", "CP-01"))).await.comes_in(3);
    // Mutual TLS stands for itself: no password is asked for.
    site.knocks(Charger::tls("CP-02").certificate(site.issue("CP-02", "CP-02"))).await.comes_in(3);
    let other = site.issue("CP-02", "CP-02");
    let knock = site.knocks(Charger::tls("CP-01").certificate(other)).await;
    assert_eq!(knock.status(), 401);
    assert!(matches!(knock.refusal(), Refusal::Certificate(why) if why.contains("CP-02")));
    let serial = site.issue("SN-7", "CP-01");
    site.change("CP-01", |own| own.certificate_name = Some("SN-7".to_owned()));
    site.knocks(Charger::tls("CP-01").certificate(serial)).await.comes_in(3);
}

#[tokio::test]
async fn an_expired_or_foreign_certificate_does_not_get_through_tls() {
    let mut site = Site::open(&[]).await;
    let expired = site.issue_expired("CP-01");
    let foreign = site.issue_elsewhere("CP-01");
    for (certificate, word) in [(expired, "expired"), (foreign, "root")] {
        let knock = site.knocks(Charger::tls("CP-01").certificate(certificate)).await;
        let Refusal::Certificate(why) = knock.refusal() else { panic!("{knock:?}") };
        assert!(why.contains(word), "{why}");
    }
    let knock = site.knocks_at_the_wrong_door().await;
    assert!(matches!(knock.refusal(), Refusal::Handshake(why) if why.contains("TLS")), "{knock:?}");
}

/// The old password is valid until the new one was seen, and not longer.
#[tokio::test]
async fn a_password_rolls_over_without_locking_anybody_out() {
    let mut site = Site::open(&[("CP-01", KEY)]).await;
    let (old, new) = (KEY.as_bytes(), OTHER_KEY.as_bytes());
    site.change("CP-01", |own| own.next = Some(Hash::of_key(&key_of(OTHER_KEY))));
    site.knocks(Charger::plain("CP-01").password(old)).await.comes_in(1);
    let knock = site.knocks(Charger::plain("CP-01").password(new)).await;
    assert!(knock.tells(EventKind::PasswordSeen), "{knock:?}");
    assert_eq!(site.knocks(Charger::plain("CP-01").password(old)).await.status(), 401);
    let again = site.knocks(Charger::plain("CP-01").password(new)).await;
    assert!(!again.tells(EventKind::PasswordSeen));
    again.comes_in(1);
}

/// A first password binds a charger when it was seen with it, and not before.
#[tokio::test]
async fn a_first_password_locks_nobody_out_before_it_was_seen() {
    let mut site = Site::open(&[]).await;
    site.change("CP-01", |own| {
        own.next = Some(Hash::of_key(&key_of(KEY)));
        own.wanted_profile = Some(2);
    });
    site.knocks(Charger::plain("CP-01")).await.comes_in(0);
    site.knocks(Charger::plain("CP-01").password(KEY.as_bytes())).await.comes_in(1);
    assert_eq!(site.knocks(Charger::plain("CP-01")).await.status(), 401);
    site.knocks(Charger::plain("CP-01").password(KEY.as_bytes())).await.comes_in(1);
    let knock = site.knocks(Charger::tls("CP-01").password(KEY.as_bytes())).await;
    assert!(knock.tells(EventKind::ProfileSeen), "{knock:?}");
    let back = site.knocks(Charger::plain("CP-01").password(KEY.as_bytes())).await;
    assert_eq!(back.status(), 401, "security profiles only go up");
}

/// A password of a person is looked at slowly, so guesses are counted; who knows it gets in.
#[tokio::test]
async fn guesses_from_one_address_are_not_looked_at_for_ever() {
    let mut site = Site::open(&[("CP-02", KEY)]).await;
    site.change("CP-01", |own| own.password = Some(Hash::of_password(b"correct horse")));
    site.knocks(Charger::plain("CP-01").password(b"correct horse")).await.comes_in(1);
    let mut last = 0;
    for _ in 0..11 {
        last = site.knocks(Charger::plain("CP-01").password(b"wrong horse")).await.status();
    }
    assert_eq!(last, 429);
    site.knocks(Charger::plain("CP-01").password(b"correct horse")).await.comes_in(1);
    site.knocks(Charger::plain("CP-02").password(KEY.as_bytes())).await.comes_in(1);
}

#[tokio::test]
async fn a_renewed_certificate_of_the_box_needs_no_restart() {
    let mut site = Site::open(&[("CP-01", KEY)]).await;
    let charger = || Charger::tls("CP-01").password(KEY.as_bytes());
    let knock = site.knocks(charger()).await;
    let before = knock.server_serial();
    knock.comes_in(2);
    let renewed = site.renew_server();
    let knock = site.knocks(charger()).await;
    assert_eq!(knock.server_serial(), renewed);
    assert_ne!(before, renewed);
    knock.comes_in(2);
    site.spoil_server_key();
    let knock = site.knocks(charger()).await;
    assert_eq!(knock.server_serial(), renewed, "what cannot be used changes nothing");
    knock.comes_in(2);
}

/// Nobody knows a stranger's make from its knock alone; asked, it says it and is promised nothing.
#[tokio::test]
async fn a_stranger_is_listed_and_says_who_it_is_while_somebody_listens() {
    let mut site = Site::open(&[]).await;
    assert_eq!(site.knocks(Charger::plain("ACE-7")).await.status(), 404);
    let listed = site.links.strangers().all();
    assert_eq!((listed[0].identity.as_str(), listed[0].vendor.as_str()), ("ACE-7", ""));
    let soon = Clock::real().now().mono + Duration::minutes(1);
    site.links.strangers().listen(soon);
    let answer = site.introduces("ACE-7", "Acme").await;
    assert!(answer.contains("\"Pending\""), "{answer}");
    let listed = site.links.strangers().all();
    assert_eq!((listed[0].vendor.as_str(), listed[0].times), ("Acme", 2));
    assert!(site.links.profiles().is_empty(), "it is no link of this site");
}

/// Run alone, with `--ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a check"]
async fn memory_of_an_idle_connection_inside_tls() {
    const MANY: usize = 300;
    let mut site = Site::open(&[("CP-01", KEY)]).await;
    let mut held = vec![site.hold("CP-01").await];
    let resident = || {
        let look = ampgate::io::platform::Resources::look(std::path::Path::new("/"));
        look.resident_bytes.unwrap()
    };
    let before = resident();
    // Both ends are in this process, so this counts the peer's side too.
    for number in 0..MANY {
        held.push(site.hold(&format!("CP-{}", 100 + number)).await);
    }
    let each = (resident() - before) / MANY as u64;
    println!("{each} bytes for each idle connection inside TLS, both ends together");
}
