//! What the services answer, asked as the program asks them.

use std::time::Duration;

use vouchsafe::adapters::kms::{KeyServices, KmsSettings};
use vouchsafe::adapters::outbound::Outbound;

pub(crate) use crate::support::stand_in::{Answer, StandIn, json, text};

/// A P-256 key that signs nothing.
pub(crate) const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n";
/// Its DER in base64.
pub(crate) const DER: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==";

/// What the services answer for a reference, with these variables in the environment.
pub(crate) async fn ask(reference: &str, environment: &[(&str, &str)]) -> Result<String, String> {
    ask_with(reference, settings(environment)).await
}

pub(crate) fn settings(environment: &[(&str, &str)]) -> KmsSettings {
    KmsSettings::from_environment(|name| {
        let found = environment.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

pub(crate) async fn ask_with(reference: &str, settings: KmsSettings) -> Result<String, String> {
    let outbound = Outbound::new(None, Duration::from_secs(5)).unwrap();
    let services = KeyServices::new(outbound, settings);
    let answer = services.public_key(reference).await;
    answer
        .map(|pem| pem.to_string())
        .map_err(|error| error.to_string())
}
