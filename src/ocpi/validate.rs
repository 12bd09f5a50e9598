//! Whether an object may leave: what the specification bounds and a parser lets pass. Asked of what
//! we send; of what we receive it only makes a line in the log.

use super::text::Ci;
use super::wire::location::{GeoLocation, Location};
use super::wire::session::Session;
use super::wire::token::Token;

/// All that is wrong with a location, in words.
pub fn location(location: &Location) -> Vec<String> {
    let mut wrong = owner(&location.country_code, &location.party_id, &location.id, 36);
    at_most(&mut wrong, "address", &location.address, 255);
    at_most(&mut wrong, "city", &location.city, 45);
    if location.country.len() != 3 {
        wrong.push(format!("country \"{}\": three letters expected", location.country));
    }
    wrong.extend(coordinates(&location.coordinates));
    for evse in &location.evses {
        ci(&mut wrong, "evse uid", &evse.uid, 36);
        if let Some(id) = &evse.evse_id {
            ci(&mut wrong, "evse_id", id, 48);
        }
        if evse.connectors.is_empty() {
            wrong.push(format!("EVSE {}: at least one connector expected", evse.uid));
        }
    }
    wrong
}

/// All that is wrong with coordinates, in words.
pub fn coordinates(coordinates: &GeoLocation) -> Vec<String> {
    let mut wrong = Vec::new();
    let pairs = [("latitude", &coordinates.latitude, 2), ("longitude", &coordinates.longitude, 3)];
    for (name, text, whole) in pairs {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let good = digits.split_once('.').is_some_and(|(degrees, part)| {
            let all = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            (1..=whole).contains(&degrees.len())
                && (5..=7).contains(&part.len())
                && all(degrees)
                && all(part)
        });
        if !good {
            wrong.push(format!("{name} \"{text}\": degrees with 5 to 7 decimals expected"));
        }
    }
    wrong
}

/// All that is wrong with a session, in words.
pub fn session(session: &Session) -> Vec<String> {
    let mut wrong = owner(&session.country_code, &session.party_id, &session.id, 36);
    ci(&mut wrong, "cdr_token.uid", &session.cdr_token.uid, 36);
    ci(&mut wrong, "cdr_token.contract_id", &session.cdr_token.contract_id, 36);
    if session.currency.len() != 3 {
        wrong.push(format!("currency \"{}\": three letters expected", session.currency));
    }
    if session.kwh.is_negative() {
        wrong.push(format!("kwh {}: zero or more expected", session.kwh));
    }
    wrong
}

/// All that is wrong with a token, in words.
pub fn token(token: &Token) -> Vec<String> {
    let mut wrong = owner(&token.country_code, &token.party_id, &token.uid, 36);
    ci(&mut wrong, "contract_id", &token.contract_id, 36);
    at_most(&mut wrong, "issuer", &token.issuer, 64);
    wrong
}

fn owner(country: &Ci, party: &Ci, id: &Ci, most: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    if country.as_str().len() != 2 {
        wrong.push(format!("country_code \"{country}\": two letters expected"));
    }
    if party.as_str().len() != 3 {
        wrong.push(format!("party_id \"{party}\": three characters expected"));
    }
    ci(&mut wrong, "id", id, most);
    wrong
}

fn ci(wrong: &mut Vec<String>, name: &str, text: &Ci, most: usize) {
    let printable = text.as_str().bytes().all(|byte| (0x20..0x7F).contains(&byte));
    if !printable || text.as_str().is_empty() {
        wrong.push(format!("{name} \"{text}\": printable ASCII expected"));
    }
    at_most(wrong, name, text.as_str(), most);
}

fn at_most(wrong: &mut Vec<String>, name: &str, text: &str, most: usize) {
    if most < text.chars().count() {
        wrong.push(format!("{name} \"{text}\": at most {most} characters expected"));
    }
}
