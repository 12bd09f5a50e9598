//! Floor 3: OCPP 1.6J central system, sans-IO.
