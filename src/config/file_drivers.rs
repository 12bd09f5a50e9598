//! What drivers get as they are written: `[drivers]` and `[[drivers.group]]`. Doc comments are the
//! manual, see [`super::file`].

use schemars::JsonSchema;
use serde::Deserialize;

/// What holds for a driver who says nothing, and who comes first when not all can be served. What a
/// driver says (page, API, command line, partner) always counts before it; what is left out here is
/// taken from habit, and at last from the car: as much as it takes, as soon as it can.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Drivers {
    /// A car leaves at this time of day, in the time zone of the site; or give `stay_h`.
    #[schemars(length(min = 4, max = 5), example = &"17:30")]
    pub departure: Option<String>,
    /// A car leaves this long after its arrival, in hours; or give `departure`.
    #[schemars(range(min = 0.25, max = 336), example = 8)]
    pub stay_h: Option<f64>,
    /// A car needs this much, in kWh.
    #[schemars(range(min = 0.1, max = 1000), example = 15)]
    pub energy_kwh: Option<f64>,
    /// Every car gets this much first, before sun, prices and the wishes of others count, in kWh.
    #[schemars(range(min = 0, max = 1000), example = 5)]
    pub guaranteed_kwh: Option<f64>,
    /// The first kWh of a car are charged as fast as breakers allow.
    #[schemars(range(min = 0, max = 1000), example = 3)]
    pub fast_kwh: Option<f64>,
    /// Up to this state of charge a car is charged as fast as breakers allow, where its state of
    /// charge and its battery are known, in percent.
    #[schemars(range(min = 0, max = 100), example = 20)]
    pub fast_percent: Option<f64>,
    /// Where drivers reach their page: the address of a reverse proxy that forwards `/d/` and
    /// `/assets/` to `listen.web`. It stands in the QR codes. Without it the page is for this
    /// machine alone.
    #[schemars(length(min = 8, max = 200), example = &"https://charge.example.org")]
    pub page_url: Option<String>,
    /// Drivers for whom something else holds, by their tokens. The first group that has a token
    /// counts.
    #[schemars(length(max = 50))]
    pub group: Vec<Group>,
}

/// A group of drivers. What is left out is as in `[drivers]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What people call it; it stands in the reasons.
    #[schemars(required, length(min = 1, max = 36), example = &"fleet")]
    pub id: Option<String>,
    /// The tokens (idTag) of the group; upper and lower case are the same. A star at the end stands
    /// for anything that follows.
    #[schemars(required, length(min = 1, max = 10_000), inner(length(min = 1, max = 20)))]
    #[schemars(example = ["FLEET-*", "04A1B2C3D4"])]
    pub tokens: Option<Vec<String>>,
    /// When not all can have what they need, those with the larger number come first: each step
    /// counts double. Everybody who is in no group has 0.
    #[serde(default)]
    #[schemars(range(min = -8, max = 8))]
    pub priority: i32,
    /// A car leaves at this time of day, in the time zone of the site; or give `stay_h`.
    #[schemars(length(min = 4, max = 5), example = &"17:30")]
    pub departure: Option<String>,
    /// A car leaves this long after its arrival, in hours; or give `departure`.
    #[schemars(range(min = 0.25, max = 336))]
    pub stay_h: Option<f64>,
    /// A car needs this much, in kWh.
    #[schemars(range(min = 0.1, max = 1000))]
    pub energy_kwh: Option<f64>,
    /// Every car gets this much first, in kWh.
    #[schemars(range(min = 0, max = 1000))]
    pub guaranteed_kwh: Option<f64>,
    /// The first kWh of a car are charged as fast as breakers allow.
    #[schemars(range(min = 0, max = 1000))]
    pub fast_kwh: Option<f64>,
    /// Up to this state of charge a car is charged as fast as breakers allow, in percent.
    #[schemars(range(min = 0, max = 100))]
    pub fast_percent: Option<f64>,
}
