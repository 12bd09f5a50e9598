//! Rules of `[mqtt]` and `[mqtt.publish]`.

use super::file::File;
use super::file_mqtt::{Mqtt, Publish};
use super::pointer::check_topic;
use super::report::Report;
use super::words::quoted;

/// Checks the broker.
pub fn check(file: &File, report: &mut Report) {
    let Some(mqtt) = &file.mqtt else { return };
    if let Some(host) = &mqtt.host {
        let odd = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '/';
        let has_port = host.matches(':').count() == 1;
        if host.contains(odd) || has_port {
            let expected = "the name or address alone, without mqtt:// and without the port \
                            (that is port = 1883)";
            report.error("mqtt.host", quoted(host), expected);
        }
    }
    if let (Some(_), None) = (&mqtt.password_file, &mqtt.username) {
        report.error("mqtt.password_file", "a password without username", "username beside it");
    }
    check_tls(mqtt, report);
    if let Some(publish) = &mqtt.publish {
        check_publish(publish, report);
    }
}

fn check_tls(mqtt: &Mqtt, report: &mut Report) {
    let files = [
        ("ca_file", &mqtt.ca_file),
        ("certificate_file", &mqtt.certificate_file),
        ("key_file", &mqtt.key_file),
    ];
    for (key, written) in files {
        if let (Some(_), false) = (written, mqtt.tls) {
            report.error(&format!("mqtt.{key}"), "it without tls", "tls = true beside it");
        }
    }
    match (&mqtt.certificate_file, &mqtt.key_file) {
        (Some(_), None) => {
            report.error("mqtt.certificate_file", "a certificate without key", "key_file too");
        }
        (None, Some(_)) => {
            report.error("mqtt.key_file", "a key without certificate", "certificate_file too");
        }
        _ => {}
    }
    let is_here = mqtt.host.as_deref().is_some_and(|host| {
        host == "localhost" || host.parse().is_ok_and(|at: std::net::IpAddr| at.is_loopback())
    });
    if mqtt.password_file.is_some() && !mqtt.tls && !is_here && mqtt.host.is_some() {
        let expected = "tls = true, or a network of its own: a password without TLS can be read \
                        by everybody on the way";
        report.warning("mqtt.password_file", "a password without tls", expected);
    }
}

fn check_publish(publish: &Publish, report: &mut Report) {
    let topics = [("topic", &publish.topic), ("discovery_topic", &publish.discovery_topic)];
    for (key, topic) in topics {
        let path = format!("mqtt.publish.{key}");
        check_topic(&path, topic, report);
        if topic.starts_with(['/', '$']) || topic.ends_with('/') {
            let expected = "it without / at the ends and without $ at the beginning";
            report.error(&path, quoted(topic), expected);
        }
    }
    let inside = |outer: &str, inner: &str| {
        outer == inner || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
    };
    if publish.discovery && inside(&publish.discovery_topic, &publish.topic) {
        let found = format!("{}, which is inside discovery_topic", quoted(&publish.topic));
        report.error("mqtt.publish.topic", found, "a topic of its own");
    }
}
