//! OCPI without a network: objects in both versions, registration, the site as a CPO, the site as a
//! smart-charging provider.

mod codec;
mod gateway;
mod registration;
mod scsp;
mod site;
