//! The table `[[limit]]` as it is written. Doc comments are the manual, see [`super::file`].

use schemars::JsonSchema;
use serde::Deserialize;

/// A contact that limits while it is closed: dimming by the grid operator (§14a EnWG), a load
/// shedding relay. It is read from a line of a GPIO chip, or from a file. Where it cannot be read,
/// its limit holds.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What people call it; stands wherever it limits.
    #[schemars(required, length(min = 1, max = 40), example = &"§14a contact")]
    pub id: Option<String>,
    /// The GPIO chip that the contact is wired to.
    #[schemars(length(min = 1, max = 250), example = &"/dev/gpiochip0")]
    pub gpio_chip: Option<String>,
    /// The line of the chip.
    #[schemars(range(min = 0, max = 65535), example = 17)]
    pub line: Option<u32>,
    /// The resistor inside the chip. Left out, it stays as it is.
    pub pull: Option<Pull>,
    /// In place of a GPIO line: a file that holds 0 or 1, where a program of the box exports its
    /// inputs so. Replace it whole (rename), or a reading may meet it empty.
    #[schemars(length(min = 1, max = 4096), example = &"/run/inputs/dimming")]
    pub contact_file: Option<String>,
    /// The level at which the limit holds. With a contact that opens to limit, a cut wire limits
    /// too.
    #[serde(default = "active")]
    pub active: Level,
    /// A reading that lasts no longer than this changes nothing, in seconds.
    #[serde(default = "debounce_s")]
    #[schemars(range(min = 0, max = 10))]
    pub debounce_s: f64,
    /// The most that all chargers together draw while it limits, in kW.
    #[schemars(range(min = 0, max = 100_000), example = 4.2)]
    pub limit_kw: Option<f64>,
    /// In place of `limit_kw`: the most on each phase of each EVSE, in A.
    #[schemars(range(min = 0, max = 1000))]
    pub limit_a: Option<f64>,
    /// The EVSEs that `limit_a` is for. Left out, all.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub evses: Vec<String>,
}

/// The resistor inside a GPIO chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pull {
    /// To the supply: the line is high while the contact is open.
    Up,
    /// To ground: the line is low while the contact is open.
    Down,
    /// None.
    Off,
}

/// A level of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// 0.
    Low,
    /// 1.
    High,
}

fn active() -> Level {
    Level::Low
}

fn debounce_s() -> f64 {
    0.2
}
