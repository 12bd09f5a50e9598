//! Time zone names, from the data inside the program: no file of the machine is read.

use jiff::tz::TimeZoneDatabase;

use super::words::nearest;

/// The name as the IANA database spells it; none if there is no such zone.
pub fn canonical(name: &str) -> Option<String> {
    let zone = TimeZoneDatabase::bundled().get(name).ok()?;
    zone.iana_name().map(str::to_owned)
}

/// The zone that was probably meant.
pub fn meant(name: &str) -> Option<String> {
    let database = TimeZoneDatabase::bundled();
    let names: Vec<String> = database.available().map(|name| name.to_string()).collect();
    let city = |zone: &str| zone.rsplit('/').next().unwrap_or_default().to_owned();
    let same_city = names.iter().find(|known| city(known).eq_ignore_ascii_case(&city(name)));
    let near = || nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
    same_city.cloned().or_else(near)
}
