//! Credentials for the registries of clouds, against stand-ins that speak their protocols and write down what they were asked.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fixture that breaks fails the test by panicking"
)]

mod support;

mod cloud_credentials {
    mod aws;
    mod azure;
    mod bench;
    mod google;
    mod kept;
}
