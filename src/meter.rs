//! Floor 3: MQTT topic and payload to numbers in A, W and V. Pure.
