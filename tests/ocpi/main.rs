//! OCPI without a network: registration, the site as a CPO, the site as a smart-charging provider.

mod gateway;
mod registration;
mod scsp;
mod site;
