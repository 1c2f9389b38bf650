//! A Sigstore of our own, in memory: it signs anything at any time, and can be told to lie in any single thing.
//!
//! ```text
//! Sigstore ── sign(form, subject, act) ─► Signed ─┬─ bundle(..)           JSON, v0.1 to v0.3
//!    │                                            └─ cosign::attach(..)   into a registry: .sig, .att, or a bundle that refers
//!    └─ TrustedRoot::of(..) ─► trusted_root.json
//! ```
//!
//! | module | who it is |
//! |---|---|
//! | [`ca`] | the certificate authority (Fulcio) |
//! | [`ct`] | the certificate transparency log |
//! | [`rekor`] | the transparency logs, Rekor v1 and v2, over a [`merkle`] tree |
//! | [`tsa`] | the time stamping authority (RFC 3161) |
//! | [`act`] | the act of signing: who, what, when, logged where, stamped or not |
//! | [`lies`] | what can be untrue about it |
//! | [`bundle`], [`cosign`], [`root`] | the forms in which others read it |
//!
//! Nobody here has a clock: all times are told. Nothing is taken from the libraries that verify what is made here, so that both cannot
//! be wrong in the same way.

#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "each suite uses its part, and a fixture that breaks fails the test by panicking"
)]

pub(crate) mod act;
pub(crate) mod bundle;
pub(crate) mod ca;
pub(crate) mod certificate;
pub(crate) mod cosign;
pub(crate) mod ct;
pub(crate) mod key;
pub(crate) mod lies;
pub(crate) mod merkle;
pub(crate) mod rekor;
pub(crate) mod root;
pub(crate) mod tsa;

use jiff::Timestamp;

pub(crate) use act::{Act, By, Content, Form, LayerStamp, Logged, Signed, Signer, Subject};
pub(crate) use bundle::{Version, bundle};
pub(crate) use ca::{CertificateAuthority, Identity, Issued, San};
pub(crate) use certificate::Window;
pub(crate) use key::{Algorithm, Key};
pub(crate) use lies::{About, Lie};
pub(crate) use rekor::{Kind, Rekor};
pub(crate) use root::{Trusted, TrustedRoot};

use ct::CtLog;
use tsa::TimestampAuthority;

/// When every authority began.
pub(crate) const FOUNDED: &str = "2020-01-01T00:00:00Z";
/// When every authority ends.
pub(crate) const LASTS: &str = "2045-01-01T00:00:00Z";
/// When things are signed, if nothing else is said.
pub(crate) const NOON: &str = "2025-06-01T12:00:00Z";

/// One instance: an authority of each kind.
pub(crate) struct Sigstore {
    pub(crate) ca: CertificateAuthority,
    pub(crate) ct: CtLog,
    pub(crate) rekor: Rekor,
    pub(crate) rekor_v2: Rekor,
    pub(crate) tsa: TimestampAuthority,
}

/// What kind of instance. `Default` is like the public one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// What the certificate authorities sign with.
    pub(crate) ca: Algorithm,
    /// Whether there is an authority between the root and the signers, and when its certificate is good.
    pub(crate) intermediate: Option<Window>,
    pub(crate) ct: Algorithm,
    pub(crate) rekor_v2: Algorithm,
    /// How many witnesses sign the checkpoints of Rekor v2.
    pub(crate) witnesses: usize,
    /// When the certificate that stamps is good.
    pub(crate) stamping: Window,
    /// Whether stamps carry that certificate.
    pub(crate) stamps_embed_certificate: bool,
}

// === impl Setup ===

impl Default for Setup {
    fn default() -> Self {
        Self {
            ca: Algorithm::P384,
            intermediate: Some(Window::always()),
            ct: Algorithm::P256,
            rekor_v2: Algorithm::Ed25519,
            witnesses: 2,
            stamping: Window::always(),
            stamps_embed_certificate: true,
        }
    }
}

// === impl Window ===

impl Window {
    /// As long as there are authorities.
    pub(crate) fn always() -> Self {
        Self::new(FOUNDED, LASTS)
    }

    pub(crate) fn new(from: &str, until: &str) -> Self {
        Self {
            from: time(from),
            until: time(until),
        }
    }
}

// === impl Sigstore ===

impl Sigstore {
    pub(crate) fn new() -> Self {
        Self::with(Setup::default())
    }

    pub(crate) fn with(setup: Setup) -> Self {
        Self {
            ca: CertificateAuthority::new(setup.ca, setup.intermediate),
            ct: CtLog::new(setup.ct),
            rekor: Rekor::v1(),
            rekor_v2: Rekor::v2(setup.rekor_v2, setup.witnesses),
            tsa: TimestampAuthority::new(setup.ca, setup.stamping, setup.stamps_embed_certificate),
        }
    }

    pub(crate) fn trusted_root(&self) -> TrustedRoot {
        TrustedRoot::of(self)
    }
}

/// A time as RFC 3339 writes it.
pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}
