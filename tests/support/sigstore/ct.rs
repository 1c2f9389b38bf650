//! A certificate transparency log that promises at once and keeps nothing (RFC 6962).
//!
//! In comes a certificate as it will be without the promise; out comes the extension with the promise, to put into it.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use x509_cert::der::asn1::OctetString;
use x509_cert::ext::Extension;

use super::certificate::{Draft, extension};
use super::key::{Algorithm, Key};
use super::lies::Lie;

/// The extension that holds promises (RFC 6962, 3.3).
const PROMISES: &str = "1.3.6.1.4.1.11129.2.4.2";

pub(crate) struct CtLog {
    pub(crate) key: Key,
    impostor: Key,
}

// === impl CtLog ===

impl CtLog {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self {
            key: Key::generate(algorithm),
            impostor: Key::generate(algorithm),
        }
    }

    /// The extension with this log's promise, made at `at`, that it will contain `draft`, which `issuer` issues.
    pub(crate) fn promise(
        &self,
        draft: &Draft,
        issuer: &Key,
        at: Timestamp,
        lie: Option<Lie>,
    ) -> Option<Extension> {
        let another = match lie {
            Some(Lie::NoSct) => return None,
            Some(Lie::SctOfAnotherCertificate) => b"another certificate".to_vec(),
            _ => draft.to_be_signed(),
        };
        let issuer = match lie {
            Some(Lie::SctOfAnotherIssuer) => [0; 32],
            _ => issuer.id(),
        };
        let key = match lie {
            Some(Lie::SctByAnotherLog | Lie::SctByAnUnknownLog) => &self.impostor,
            _ => &self.key,
        };
        let named = match lie {
            Some(Lie::SctByAnUnknownLog) => &self.impostor,
            _ => &self.key,
        };
        let time = u64::try_from(at.as_millisecond()).unwrap().to_be_bytes();
        let claimed = match lie {
            Some(Lie::SctTimeChanged) => u64::try_from(at.as_millisecond() + 1)
                .unwrap()
                .to_be_bytes(),
            _ => time,
        };
        let signed = [
            // Version 1, a certificate's promise, and the time.
            &[0, 0][..],
            &time,
            // An entry for a certificate before it has its promises.
            &[0, 1],
            &issuer,
            &length(another.len(), 3),
            &another,
            // No extensions.
            &[0, 0],
        ]
        .concat();
        let signature = key.sign(&signed);
        let promise = [
            &[0][..],
            &Sha256::digest(named.spki()),
            &claimed,
            &[0, 0],
            &key.tls_algorithm(),
            &length(signature.len(), 2),
            &signature,
        ]
        .concat();
        let one = [&length(promise.len(), 2)[..], &promise].concat();
        let list = [&length(one.len(), 2)[..], &one].concat();
        Some(extension(PROMISES, false, &OctetString::new(list).unwrap()))
    }
}

/// A length in so many bytes.
fn length(length: usize, bytes: usize) -> Vec<u8> {
    let whole = length.to_be_bytes();
    whole[whole.len() - bytes..].to_vec()
}
