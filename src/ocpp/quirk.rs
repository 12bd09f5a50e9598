//! Known deviations of charger models, as data. Each row names where it was reported.
//!
//! A row only changes what is tried first; the ladder still finds what works. What every charger
//! is forgiven stands in `repair` and `metering`, not here.

use crate::model::message::Identity;

use super::mode::{Kind, Quirk, Unit};

struct Row {
    vendor: &'static str,
    model: &'static str,
    /// Firmware versions that begin with one of these; all where empty.
    firmware: &'static [&'static str],
    quirk: Quirk,
}

const PLAIN: Quirk = Quirk { stack: None, kind: None, unit: None, hard_drop: false };

const TABLE: &[Row] = &[
    // evcc#15493, lbbrhzn/ocpp#1737: Terra AC reports 3 levels and rejects every one above 0.
    Row { vendor: "abb", model: "", firmware: &[], quirk: Quirk { stack: Some(0), ..PLAIN } },
    // evcc template ocpp-wallbox: stack level 0 up to firmware 5, only Relative after it.
    Row {
        vendor: "wall box",
        model: "",
        firmware: &["5."],
        quirk: Quirk { stack: Some(0), ..PLAIN },
    },
    Row {
        vendor: "wall box",
        model: "",
        firmware: &["6."],
        quirk: Quirk { kind: Some(Kind::Relative), ..PLAIN },
    },
    // lbbrhzn/ocpp PR#2084: power is the only unit.
    Row {
        vendor: "huawei",
        model: "",
        firmware: &[],
        quirk: Quirk { unit: Some(Unit::W), ..PLAIN },
    },
    // lbbrhzn/ocpp#2158: TxProfile is not supported and Absolute gets no answer.
    Row {
        vendor: "timxon",
        model: "",
        firmware: &[],
        quirk: Quirk { kind: Some(Kind::Relative), ..PLAIN },
    },
    // lbbrhzn/ocpp#1975: stays away after a Close.
    Row { vendor: "jigu", model: "", firmware: &[], quirk: Quirk { hard_drop: true, ..PLAIN } },
];

/// The quirks of this charger; none of a charger that has not said who it is.
pub fn quirk(identity: Option<&Identity>) -> Quirk {
    let Some(identity) = identity else {
        return PLAIN;
    };
    let vendor = identity.vendor.to_lowercase();
    let model = identity.model.to_lowercase();
    let fits = |row: &&Row| {
        let firmware = identity.firmware.as_str();
        vendor.starts_with(row.vendor)
            && model.contains(row.model)
            && (row.firmware.is_empty() || row.firmware.iter().any(|own| firmware.starts_with(own)))
    };
    TABLE.iter().find(fits).map_or(PLAIN, |row| row.quirk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_by_vendor_and_firmware() {
        let wallbox = |firmware: &str| Identity {
            vendor: "Wall Box Chargers".to_owned(),
            model: "PLP2-M-2-4".to_owned(),
            firmware: firmware.to_owned(),
            ..Identity::default()
        };
        assert_eq!(quirk(Some(&wallbox("6.6.12"))).kind, Some(Kind::Relative));
        assert_eq!(quirk(Some(&wallbox("5.13.1"))).stack, Some(0));
        assert_eq!(quirk(None), PLAIN);
    }
}
