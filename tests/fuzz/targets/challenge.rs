//! `WWW-Authenticate`: bounded, and no realm takes credentials to another domain (T-53).

#![no_main]

use libfuzzer_sys::fuzz_target;
use vouchsafe::adapters::oci::fuzzing::{challenge, realm};

fuzz_target!(|bytes: &[u8]| {
    let values: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let Some((written, service)) = challenge(&values) else {
        return;
    };
    assert!(written.len() <= 4096 && service.len() <= 4096);
    assert!(!written.contains(char::is_control) && !service.contains(char::is_control));
    let Some((url, is_trusted)) = realm("registry.example.com", &written) else {
        return;
    };
    let rest = url
        .strip_prefix("https://")
        .expect("a public registry is left over https only");
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    assert!(!host.contains('@'), "{url}");
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    // A name that ends with a dot is the same name.
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_ours = name == "example.com" || name.ends_with(".example.com");
    assert_eq!(is_trusted, is_ours, "{url}");
});
