//! Changes of good evidence: whatever is changed in it, at any depth, is refused, or proves word for word what the original proves.
//!
//! Evidence is our Sigstore's (`support/sigstore`) in every form, and real ones where they are at hand (`support/vectors`). Every member of
//! every document is changed in every way that `support/mutation` knows; after that, bytes anywhere, by dice. Which places may change
//! without being noticed is a closed list ([`UNPROVEN`]): nobody signs them, and nothing is decided by them.
//!
//! `VOUCHSAFE_MUTATIONS` is how often the dice fall for each piece of evidence, `VOUCHSAFE_SEED` where they begin. Every failure says with
//! which seed it comes again.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it did"
)]

mod support;

#[path = "support/mutation.rs"]
mod mutation;
#[path = "mutations/real.rs"]
mod real;
#[path = "support/sigstore/mod.rs"]
mod sigstore;
#[path = "mutations/specimen.rs"]
mod specimen;

use std::collections::BTreeMap;

use rstest::rstest;

use mutation::{Dice, OTHER_CHARACTERS, each_member, somewhere};
use sigstore::{Act, Algorithm, Form, Identity, Key, Kind, Logged, Sigstore, Version};
use specimen::{Asked, Specimen};

/// Places that nobody signs and nothing is decided by; the beginning of one is enough.
const UNPROVEN: &[&str] = &[
    // JSON that says the same in other characters.
    "layer as before",
    "dev.sigstore.cosign/bundle as before",
    "dev.sigstore.cosign/rfc3161timestamp as before",
    // Certificates above the signer's: the trusted root has its own.
    "dev.sigstore.cosign/chain",
    "layer/verificationMaterial/x509CertificateChain/certificates longer",
    "layer/verificationMaterial/x509CertificateChain/certificates shorter",
    "layer/verificationMaterial/x509CertificateChain/certificates/1",
    "layer/verificationMaterial/x509CertificateChain/certificates/2",
    // Hints at a key: the policy has it.
    "layer/signatures/0/keyid",
    "layer/dsseEnvelope/signatures/0/keyid",
    "layer/verificationMaterial/publicKey",
    // What the bundle claims to have signed, where it claims nothing any more. What it is about is the image.
    "layer/messageSignature/messageDigest null",
    "layer/messageSignature/messageDigest removed",
    "layer/messageSignature/messageDigest bytes",
    "layer/messageSignature/messageDigest/algorithm",
    // The same again is no more than once.
    "layer/verificationMaterial/tlogEntries longer",
    "layer/verificationMaterial/timestampVerificationData/rfc3161Timestamps longer",
    // Names and witnesses beside the log's signature of the checkpoint.
    "layer/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope",
    // The only entry of a tree needs no way to the root.
    "layer/verificationMaterial/tlogEntries/0/inclusionProof/hashes removed",
    // Rekor v2 has these in the checkpoint, where they are signed.
    "layer/verificationMaterial/tlogEntries/0/inclusionProof/logIndex",
    "layer/verificationMaterial/tlogEntries/0/inclusionProof/rootHash",
    "layer/verificationMaterial/tlogEntries/0/inclusionProof/treeSize",
    "layer/verificationMaterial/tlogEntries/0/logId/keyId",
    // A token's certificates, and the names of algorithms around what is signed.
    "dev.sigstore.cosign/rfc3161timestamp/SignedRFC3161Timestamp",
    "layer/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp",
];

/// The same, where the log is asked: stamps are not needed where it tells the time. Of promise and proof, what is not needed may go: the
/// promise where there is another time, the proof in bundles of v0.1.
const UNPROVEN_BESIDE_A_LOG: &[&str] = &[
    "layer/verificationMaterial/timestampVerificationData",
    "layer/verificationMaterial/tlogEntries/0/inclusionPromise null",
    "layer/verificationMaterial/tlogEntries/0/inclusionPromise removed",
    "layer/verificationMaterial/tlogEntries/0/inclusionPromise bytes",
    "layer/verificationMaterial/tlogEntries/0/inclusionProof null",
    "layer/verificationMaterial/tlogEntries/0/inclusionProof removed",
    "layer/verificationMaterial/tlogEntries/0/inclusionProof bytes",
];

/// The same, where only stamps are asked.
const UNPROVEN_BESIDE_STAMPS: &[&str] = &[
    "layer/verificationMaterial/tlogEntries null",
    "layer/verificationMaterial/tlogEntries removed",
    "layer/verificationMaterial/tlogEntries bytes",
];

/// The same, where a key is enough: nobody else is asked, and nothing beside the signature is looked at.
const UNPROVEN_BESIDE_A_KEY: &[&str] = &["layer/verificationMaterial"];

/// Among how many threads real evidence is shared.
const SHARES: usize = 4;

/// How often the dice fall for each piece of evidence.
fn falls() -> usize {
    let named = std::env::var("VOUCHSAFE_MUTATIONS").ok();
    named.map_or(150, |text| text.parse().unwrap())
}

/// Where the dice begin.
fn seed() -> u64 {
    let named = std::env::var("VOUCHSAFE_SEED").ok();
    named.map_or(0x51_65_73_74, |text| text.parse().unwrap())
}

/// Changes a piece of evidence in every way; how many changes there were.
fn changed(specimen: &Specimen) -> usize {
    let original = specimen.proven(&specimen.documents);
    let original = original.unwrap_or_else(|why| panic!("{}: {why}", specimen.name));
    let seed = seed();
    let mut dice = Dice::new(seed);
    let by_dice = (0..falls()).map(|_| somewhere(&specimen.documents, &mut dice));
    let (mut count, mut unnoticed) = (0, BTreeMap::new());
    for mutant in each_member(&specimen.documents).into_iter().chain(by_dice) {
        if mutant.documents == specimen.documents {
            continue;
        }
        count += 1;
        if let Ok(proven) = specimen.proven(&mutant.documents) {
            assert_eq!(
                proven, original,
                "{}: {} (seed {seed}) proves something else",
                specimen.name, mutant.place
            );
            let what = mutation::what(&specimen.documents, &mutant.documents);
            unnoticed.entry(mutant.place).or_insert(what);
        }
    }
    let more = match specimen.asked {
        Asked::Log => UNPROVEN_BESIDE_A_LOG,
        Asked::Stamps => UNPROVEN_BESIDE_STAMPS,
        Asked::Nobody => UNPROVEN_BESIDE_A_KEY,
    };
    let is_known = |place: &String| {
        let mut places = UNPROVEN.iter().chain(more);
        // The same bytes: the last character of base64 has bits that belong to none, and hexadecimal knows two cases.
        place.contains(OTHER_CHARACTERS) || places.any(|known| place.starts_with(known))
    };
    unnoticed.retain(|place, _| !is_known(place));
    assert!(
        unnoticed.is_empty(),
        "{} (seed {seed}): changed and not noticed: {unnoticed:#?}",
        specimen.name
    );
    println!("{}: {count} changes, seed {seed}", specimen.name);
    count
}

#[rstest]
#[case(Form::Signature, Logged::Promised, false)]
#[case(Form::Signature, Logged::Nowhere, true)]
#[case(Form::Attestation, Logged::Promised, false)]
#[case(Form::Attestation, Logged::Nowhere, true)]
#[case(Form::Message(Version::V01), Logged::Promised, false)]
#[case(Form::Message(Version::V02), Logged::Both, false)]
#[case(Form::Message(Version::V03), Logged::Both, true)]
#[case(Form::Message(Version::V03), Logged::V2, true)]
#[case(Form::Message(Version::V03), Logged::Nowhere, true)]
#[case(Form::Statement(Version::V01), Logged::Promised, false)]
#[case(Form::Statement(Version::V02), Logged::Both, false)]
#[case(Form::Statement(Version::V03), Logged::Both, true)]
#[case(Form::Statement(Version::V03), Logged::V2, true)]
fn a_change_anywhere_is_noticed(#[case] form: Form, #[case] logged: Logged, #[case] stamped: bool) {
    let who = Identity::workflow("shop/cart", "release.yml", "refs/tags/v1.4.0");
    let act = Act::by(who).logged(logged);
    let act = if stamped { act.stamped() } else { act };
    let asked = if logged == Logged::Nowhere {
        Asked::Stamps
    } else {
        Asked::Log
    };
    changed(&Specimen::of(&Sigstore::new(), form, &act, asked));
}

/// An entry of the oldest kind is about a whole envelope as it was uploaded, which a bundle does not keep.
#[rstest]
#[case(Kind::Intoto001, Form::Attestation)]
#[case(Kind::Intoto002, Form::Attestation)]
#[case(Kind::Intoto002, Form::Statement(Version::V02))]
fn a_change_of_an_older_kind_of_entry_is_noticed(#[case] kind: Kind, #[case] form: Form) {
    let act = Act::by(Identity::email(
        "release@shop.example",
        "https://accounts.example",
    ));
    changed(&Specimen::of(
        &Sigstore::new(),
        form,
        &act.kind(kind),
        Asked::Log,
    ));
}

#[rstest]
#[case(Form::Signature)]
#[case(Form::Attestation)]
#[case(Form::Message(Version::V03))]
#[case(Form::Statement(Version::V03))]
fn a_change_of_what_a_key_signed_and_a_log_has_is_noticed(#[case] form: Form) {
    let act = Act::with_key(&Key::generate(Algorithm::P256));
    changed(&Specimen::of(&Sigstore::new(), form, &act, Asked::Log));
}

#[rstest]
#[case(Form::Signature)]
#[case(Form::Attestation)]
#[case(Form::Message(Version::V03))]
#[case(Form::Statement(Version::V03))]
fn a_change_of_what_a_key_signed_is_noticed(#[case] form: Form) {
    let act = Act::with_key(&Key::generate(Algorithm::P256)).logged(Logged::Nowhere);
    changed(&Specimen::of(&Sigstore::new(), form, &act, Asked::Nobody));
}

/// Rekor v2 keeps envelopes as such, too.
#[test]
fn a_change_of_an_entry_of_a_whole_envelope_is_noticed() {
    let who = Identity::email("release@shop.example", "https://accounts.example");
    let act = Act::by(who)
        .logged(Logged::V2)
        .kind(Kind::Dsse002)
        .stamped();
    let form = Form::Statement(Version::V03);
    changed(&Specimen::of(&Sigstore::new(), form, &act, Asked::Log));
}

#[test]
fn a_change_of_real_evidence_is_noticed() {
    let specimens = real::specimens();
    let count: usize = std::thread::scope(|scope| {
        let shares = specimens.chunks(specimens.len().div_ceil(SHARES).max(1));
        let at_work: Vec<_> = shares
            .map(|share| scope.spawn(|| share.iter().map(changed).sum::<usize>()))
            .collect();
        at_work.into_iter().map(|share| share.join().unwrap()).sum()
    });
    println!(
        "{} real pieces of evidence, {count} changes",
        specimens.len()
    );
}
