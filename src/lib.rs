//! Ampgate keeps an EV charging site inside its breakers.
#![forbid(unsafe_code)]

pub mod announce;
pub mod cli;
pub mod config;
pub mod control;
pub mod controller;
pub mod daemon;
pub mod demo;
pub mod desk;
pub mod double;
pub mod forecast;
pub mod ground;
pub mod io;
pub mod keyring;
pub mod learn;
pub mod meter;
pub mod model;
pub mod ocpi;
pub mod ocpp;
pub mod plan;
pub mod publish;
pub mod run;
pub mod serve;
pub mod simulate;
pub mod store;
pub mod twin;
pub mod ui;
pub mod update;
pub mod updater;
pub mod upkeep;
pub mod uplink;
