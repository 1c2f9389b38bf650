//! Statements: the text stays as it came, and subjects are what stands in it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vouchsafe::image::Digest;
use vouchsafe::limits::Limits;
use vouchsafe::statement::Statement;

fuzz_target!(|payload: &[u8]| {
    let limits = Limits::default().evidence;
    let Ok(statement) = Statement::parse(payload, &limits) else {
        return;
    };
    assert_eq!(statement.json().as_bytes(), payload);
    assert!((1..=limits.subjects).contains(&statement.subjects().len()));
    let value: serde_json::Value = serde_json::from_slice(payload).expect("a statement is JSON");
    assert_eq!(value["predicateType"], statement.predicate_type());
    let stranger = Digest::sha256_of(b"an image that nobody knows");
    assert!(!statement.is_about(&stranger) || statement.json().contains(&stranger.hex()));
    for subject in statement.subjects() {
        for (algorithm, hex) in &subject.digest {
            if let Ok(digest) = format!("{algorithm}:{hex}").parse::<Digest>() {
                assert!(statement.is_about(&digest));
            }
        }
    }
});
