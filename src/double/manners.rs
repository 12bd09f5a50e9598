//! How the double behaves: deviations of real platforms as switches, its answers to profiles,
//! scripted outages, and the strictness with which it looks at what it is told.

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::ground::time::Utc;
use crate::ocpi::http::{Method, OcpiRequest, OcpiResponse, presented};

/// How the double answers to profiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Answers {
    /// At once.
    #[default]
    Accept,
    /// Every result is a refusal.
    Reject,
    /// Results come a minute late.
    Late,
    /// No result ever comes.
    Never,
    /// Two of three are too often.
    TooOften,
}

/// What real platforms do that the standard does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Deviation {
    /// A single object comes in a list of one.
    Array,
    /// What is absent is written as null.
    Nulls,
    /// Errors have no envelope: `{"detail": …}`.
    Bare,
    /// 403 in place of 401.
    Forbidden,
    /// CiStrings come back in lower case.
    LowerCase,
    /// A profile is answered without `timeout`.
    NoTimeout,
    /// The last page has an empty `Link` header.
    EmptyLink,
    /// Requests have no ids.
    NoIds,
    /// Tokens are written as they are, not in Base64.
    RawToken,
    /// Objects have fields that nobody knows.
    Private,
    /// Times end with `+00:00`.
    Offset,
    /// Times have no zone at all.
    NoZone,
    /// Numbers are texts.
    Quoted,
}

/// The manners of one run.
#[derive(Clone, Debug, Default)]
pub struct Manners {
    /// To profiles.
    pub answers: Answers,
    /// In all that it says.
    pub deviations: Vec<Deviation>,
    /// It is not there from the first moment to the second.
    pub outages: Vec<(Utc, Utc)>,
    /// It refuses what breaks a rule of the standard.
    pub strict: bool,
    /// It can only be asked: the provider has no way in.
    pub asked_only: bool,
}

impl Manners {
    fn does(&self, deviation: Deviation) -> bool {
        self.deviations.contains(&deviation)
    }

    /// Whether it is not there.
    pub fn is_out(&self, now: Utc) -> bool {
        self.outages.iter().any(|(from, until)| *from <= now && now < *until)
    }

    /// A response as it leaves.
    pub fn answer(&self, mut response: OcpiResponse) -> OcpiResponse {
        if self.does(Deviation::Forbidden) && response.status == 401 {
            response.status = 403;
        }
        if self.does(Deviation::Bare) && 400 <= response.status {
            response.body = json!({ "detail": "something is wrong" }).to_string();
            return response;
        }
        if self.does(Deviation::EmptyLink)
            && response.header("X-Total-Count").is_some()
            && response.header("Link").is_none()
        {
            response = response.with("Link", "");
        }
        let Ok(Value::Object(mut body)) = serde_json::from_str(&response.body) else {
            return response;
        };
        if let Some(data) = body.get_mut("data") {
            self.spoil(data);
            if self.does(Deviation::NoTimeout)
                && let Value::Object(data) = &mut *data
            {
                data.remove("timeout");
            }
            if self.does(Deviation::Array) && data.is_object() {
                *data = json!([data.take()]);
            }
        }
        response.body = Value::Object(body).to_string();
        response
    }

    /// A request as it leaves.
    pub fn request(&self, mut request: OcpiRequest) -> OcpiRequest {
        if self.does(Deviation::NoIds) {
            request
                .headers
                .retain(|(name, _)| !matches!(name.as_str(), "X-Request-ID" | "X-Correlation-ID"));
        }
        if !request.target.ends_with("/credentials")
            && let Ok(mut body) = serde_json::from_str::<Value>(&request.body)
        {
            self.spoil(&mut body);
            request.body = body.to_string();
        }
        request
    }

    /// What the provider says it offers, as far as the double may use it.
    pub fn heard(&self, mut response: OcpiResponse) -> OcpiResponse {
        if self.asked_only
            && let Ok(mut body) = serde_json::from_str::<Value>(&response.body)
            && let Some(Value::Array(endpoints)) = body.pointer_mut("/data/endpoints")
        {
            let told = |one: &Value| {
                let is = |name: &str, word: &str| one[name].as_str() == Some(word);
                let pushed = ["locations", "sessions", "cdrs", "tariffs"];
                (is("role", "RECEIVER") && pushed.iter().any(|module| is("identifier", module)))
                    || (is("role", "SENDER") && is("identifier", "chargingprofiles"))
            };
            endpoints.retain(|one| !told(one));
            response.body = body.to_string();
        }
        response
    }

    fn spoil(&self, value: &mut Value) {
        match value {
            Value::Array(all) => all.iter_mut().for_each(|one| self.spoil(one)),
            Value::Object(object) => {
                for (name, value) in object.iter_mut() {
                    self.spoil(value);
                    self.spoil_field(name, value);
                }
                self.add(object);
            }
            _ => {}
        }
    }

    fn spoil_field(&self, name: &str, value: &mut Value) {
        const IDS: [&str; 6] =
            ["country_code", "party_id", "location_id", "evse_uid", "connector_id", "uid"];
        match value {
            Value::String(text) => {
                if self.does(Deviation::LowerCase) && IDS.contains(&name) {
                    *text = text.to_ascii_lowercase();
                }
                let is_time = text.len() <= 25 && Utc::parse(text).is_some();
                let bare = text.strip_suffix('Z').filter(|_| is_time).map(str::to_owned);
                match bare {
                    Some(bare) if self.does(Deviation::NoZone) => *text = bare,
                    Some(bare) if self.does(Deviation::Offset) => *text = format!("{bare}+00:00"),
                    _ => {}
                }
            }
            Value::Number(number) if self.does(Deviation::Quoted) && name == "kwh" => {
                *value = Value::String(number.to_string());
            }
            Value::Array(list) if self.does(Deviation::Nulls) && list.is_empty() => {
                *value = Value::Null;
            }
            _ => {}
        }
    }

    fn add(&self, object: &mut Map<String, Value>) {
        const ABSENT: [&str; 6] = [
            "end_date_time",
            "meter_id",
            "authorization_reference",
            "charging_periods",
            "total_cost",
            "charging_preferences",
        ];
        if !object.contains_key("cdr_token") {
            return;
        }
        if self.does(Deviation::Nulls) {
            for name in ABSENT {
                object.entry(name).or_insert(Value::Null);
            }
        }
        if self.does(Deviation::Private) {
            object.insert("_private".to_owned(), json!({ "shard": 7 }));
        }
    }

    /// What breaks a rule of the standard in a request of the provider.
    pub fn fault(&self, request: &OcpiRequest) -> Option<&'static str> {
        if !self.strict {
            return None;
        }
        let path = request.target.split('?').next().unwrap_or_default();
        let has = |name: &str| request.header(name).is_some_and(|value| !value.is_empty());
        let token = request.header("Authorization").unwrap_or_default();
        if !token.starts_with("Token ") || presented(token).len() < 2 {
            return Some("Authorization is not \"Token\" and the token in Base64");
        }
        if !has("X-Request-ID") || !has("X-Correlation-ID") {
            return Some("X-Request-ID or X-Correlation-ID is missing");
        }
        if !request.body.is_empty()
            && !request.header("Content-Type").is_some_and(|kind| kind.contains("json"))
        {
            return Some("Content-Type is not application/json");
        }
        let is_functional = path.contains("/receiver/") || path.contains("/sender/");
        let routed = ["to", "from"].iter().all(|side| {
            has(&format!("OCPI-{side}-party-id")) && has(&format!("OCPI-{side}-country-code"))
        });
        if is_functional && !routed {
            return Some("routing headers are missing");
        }
        let is_profile = request.method == Method::Put && path.contains("/chargingprofiles/");
        if is_profile && !is_sound_profile(&request.body) {
            return Some(
                "a profile without response_url, or a limit that is no decimal of one digit",
            );
        }
        None
    }
}

fn is_sound_profile(body: &str) -> bool {
    let Ok(body) = serde_json::from_str::<Value>(body) else { return false };
    let periods = body.pointer("/charging_profile/charging_profile_period");
    let fits = |period: &Value| {
        let limit = period["limit"].as_f64();
        limit.is_some_and(|limit| {
            0.0 <= limit && ((limit * 10.0).round() / 10.0 - limit).abs() < 1e-9
        })
    };
    body["response_url"].as_str().is_some_and(|url| url.starts_with("http"))
        && periods.and_then(Value::as_array).is_some_and(|all| all.iter().all(fits))
}

/// A span as `FROM:HOURS`, in hours from the beginning.
pub fn outage(text: &str) -> Result<(f64, f64), String> {
    let expected = || format!("{text}: expected FROM:HOURS, like 2:0.5");
    let (from, lasts) = text.split_once(':').ok_or_else(expected)?;
    let number =
        |text: &str| text.parse::<f64>().ok().filter(|number| (0.0..=1e5).contains(number));
    Ok((number(from).ok_or_else(expected)?, number(lasts).ok_or_else(expected)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(deviations: &[Deviation]) -> Manners {
        Manners { deviations: deviations.to_vec(), ..Manners::default() }
    }

    fn said(manners: &Manners, data: Value) -> Value {
        let response = manners.answer(OcpiResponse::data(data, Utc::default()));
        serde_json::from_str::<Value>(&response.body).expect("JSON")["data"].take()
    }

    #[test]
    fn each_deviation_is_what_it_says() {
        let session = json!({ "cdr_token": { "uid": "A" }, "kwh": 1.5, "charging_periods": [],
                              "last_updated": "2024-03-04T18:00:00Z", "location_id": "GARAGE" });
        let spoiled = |deviation| said(&with(&[deviation]), session.clone());
        assert_eq!(spoiled(Deviation::Array)[0]["kwh"], 1.5);
        assert_eq!(spoiled(Deviation::Nulls)["charging_periods"], Value::Null);
        assert!(spoiled(Deviation::Nulls).get("total_cost").is_some());
        assert_eq!(spoiled(Deviation::LowerCase)["location_id"], "garage");
        assert_eq!(spoiled(Deviation::Offset)["last_updated"], "2024-03-04T18:00:00+00:00");
        assert_eq!(spoiled(Deviation::NoZone)["last_updated"], "2024-03-04T18:00:00");
        assert_eq!(spoiled(Deviation::Quoted)["kwh"], "1.5");
        assert!(spoiled(Deviation::Private).get("_private").is_some());
        let answer = json!({ "result": "ACCEPTED", "timeout": 30 });
        assert_eq!(said(&with(&[Deviation::NoTimeout]), answer), json!({ "result": "ACCEPTED" }));
        let refused = OcpiResponse::code(401, 2000, "no", Utc::default());
        let bare = with(&[Deviation::Forbidden, Deviation::Bare]).answer(refused);
        assert_eq!((bare.status, bare.body.contains("detail")), (403, true));
    }

    #[test]
    fn without_a_way_in_nothing_can_be_pushed() {
        let manners = Manners { asked_only: true, ..Manners::default() };
        let offered = json!({ "endpoints": [
            { "identifier": "sessions", "role": "RECEIVER" },
            { "identifier": "chargingprofiles", "role": "SENDER" },
            { "identifier": "credentials", "role": "SENDER" } ] });
        let heard = manners.heard(OcpiResponse::data(offered, Utc::default()));
        assert!(heard.body.contains("credentials") && !heard.body.contains("sessions"));
    }

    #[test]
    fn outages_are_read_and_kept() {
        assert_eq!(outage("2:0.5"), Ok((2.0, 0.5)));
        assert!(outage("2").is_err() && outage("2:x").is_err());
    }
}
