//! Keys of key management services, against stand-ins that speak their protocols and write down what they were asked.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a fixture that breaks fails the test by panicking"
)]

mod support;

mod key_services {
    mod aws;
    mod azure;
    mod gcp;
    mod stand_in;
    mod vault;
}
