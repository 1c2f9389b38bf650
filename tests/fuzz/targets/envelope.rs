//! DSSE envelopes and simple signing: what is signed over holds the payload, and nothing of it is written again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vouchsafe::evidence::Envelope;
use vouchsafe::evidence::simple_signing::Claim;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(envelope) = Envelope::parse(bytes) {
        let signed = envelope.signed_bytes();
        let head = format!(
            "DSSEv1 {} {} {} ",
            envelope.payload_type.len(),
            envelope.payload_type,
            envelope.payload.len()
        );
        assert!(signed.starts_with(head.as_bytes()));
        assert_eq!(&signed[head.len()..], &envelope.payload[..]);
        let value: serde_json::Value = serde_json::from_slice(bytes).expect("an envelope is JSON");
        assert_eq!(value["signatures"].as_array().map(Vec::len), Some(1));
    }
    if let Ok(claim) = Claim::parse(bytes, 16) {
        let value: serde_json::Value = serde_json::from_slice(bytes).expect("a payload is JSON");
        assert_eq!(value["critical"]["type"], claim.kind);
        assert_eq!(
            value["critical"]["image"]["docker-manifest-digest"],
            claim.manifest_digest
        );
    }
});
