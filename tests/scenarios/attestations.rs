//! `e2e_test_cluster_image_policy_with_attestations.sh`, with its policies in Rego; and `…_with_attestations_rego.sh`, whose policies are in
//! Rego as they are. The scripts differ in what is attested first.

use rstest::rstest;
use serde_json::json;

use crate::sigstore::{Act, Key};
use crate::stage::{
    ATTESTATION, CUSTOM, Image, Stage, account, by_account, by_key, demo_policy, denies, new_key,
    saying, with,
};
use crate::support::policies::Policy;

const BY_ACCOUNT: &str = "foobar e2e test";
const BY_KEY: &str = "foobar key e2e test";
/// Of which type attestations are looked for.
const NONE: &str = "no matching attestations";

/// The policies of the scripts, in the order in which they come into force.
fn policies(key: &Key, count: usize) -> Vec<Policy> {
    let all = [
        ("image-policy-keyless", by_account()),
        (
            "image-policy-keyless-with-attestations",
            saying(by_account(), BY_ACCOUNT),
        ),
        ("image-policy-key", by_key(key)),
        (
            "image-policy-key-with-attestations",
            saying(by_key(key), BY_KEY),
        ),
    ];
    let all = all.into_iter().take(count);
    all.map(|(name, authority)| demo_policy(name).authority(authority))
        .collect()
}

/// A stage with the image, and the key of the script.
async fn stage() -> (Stage, Image, Key) {
    let stage = Stage::new().await;
    let demo = stage.image("demo");
    (stage, demo, new_key())
}

#[tokio::test]
async fn step_1_an_unsigned_image_is_denied() {
    let (stage, demo, key) = stage().await;
    let answered = stage.job(&policies(&key, 1), &demo).await;
    denies(
        &answered,
        "image-policy-keyless",
        "unsigned",
        "no signatures found",
    );
}

#[tokio::test]
async fn step_2_a_signature_is_no_attestation() {
    let (stage, demo, key) = stage().await;
    stage.sign(&demo, &account());
    let answered = stage.job(&policies(&key, 2), &demo).await;
    let name = "image-policy-keyless-with-attestations";
    denies(&answered, name, "no-attestation", NONE);
}

#[tokio::test]
async fn step_3_an_attestation_that_says_it_admits() {
    let (stage, demo, key) = stage().await;
    stage.sign(&demo, &account());
    stage.attest(&demo, BY_ACCOUNT, &account());
    let answered = stage.job(&policies(&key, 2), &demo).await;
    answered.admitted("satisfied");
}

#[tokio::test]
async fn step_3_of_the_script_in_rego_one_that_says_something_else_denies() {
    let (stage, demo, key) = stage().await;
    stage.sign(&demo, &account());
    stage.attest(&demo, "barfoo e2e test", &account());
    let answered = stage.job(&policies(&key, 2), &demo).await;
    denies(
        &answered,
        "image-policy-keyless-with-attestations",
        "policy-denied",
        "failed evaluating rego policy for type custom-match-predicate: policy is not compliant for query",
    );
}

#[tokio::test]
async fn step_4_of_the_script_in_rego_one_of_several_attestations_is_enough() {
    let (stage, demo, key) = stage().await;
    stage.sign(&demo, &account());
    stage.attest(&demo, "barfoo e2e test", &account());
    stage.attest(&demo, BY_ACCOUNT, &account());
    let answered = stage.job(&policies(&key, 2), &demo).await;
    answered.admitted("satisfied");
}

/// Steps 4 to 6, which are 5 to 8 of the script in Rego: the same with a key, over what is there already.
#[rstest]
#[case::step_4_the_key_did_not_sign(3, false, false, Some(("image-policy-key", "no matching signatures")))]
#[case::the_key_signed(3, true, false, None)]
#[case::step_5_the_key_attested_nothing(4, true, false, Some(("image-policy-key-with-attestations", NONE)))]
#[case::step_6_the_key_attested_it(4, true, true, None)]
#[tokio::test]
async fn with_a_key(
    #[case] in_force: usize,
    #[case] signed: bool,
    #[case] attested: bool,
    #[case] denied: Option<(&str, &str)>,
) {
    let (stage, demo, key) = stage().await;
    stage.sign(&demo, &account());
    stage.attest(&demo, BY_ACCOUNT, &account());
    if signed {
        stage.sign(&demo, &Act::with_key(&key));
    }
    if attested {
        stage.attest(&demo, BY_KEY, &Act::with_key(&key));
    }
    let answered = stage.job(&policies(&key, in_force), &demo).await;
    match denied {
        Some((policy, words)) => denies(&answered, policy, "untrusted-signer", words),
        None => {
            answered.admitted("satisfied");
        }
    }
}

/// Steps 7 and 8, which the script leaves out: four authorities, and a policy that counts what they found.
#[tokio::test]
async fn steps_7_and_8_a_policy_over_all_authorities_counts_what_they_found() {
    const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
    let (stage, demo, key) = stage().await;
    stage.sign(&demo, &account());
    stage.sign(&demo, &Act::with_key(&key));
    stage.attest(&demo, BY_ACCOUNT, &account());
    stage.attest(&demo, BY_KEY, &Act::with_key(&key));
    let attested = |name: &str, authority| {
        let custom = json!({"name": ATTESTATION, "predicateType": CUSTOM});
        with(
            with(authority, "attestations", json!([custom])),
            "name",
            json!(name),
        )
    };
    let mut keyless = attested("keylessatt", by_account());
    let vuln = json!({"name": "vuln-keyless", "predicateType": "vuln"});
    keyless["attestations"].as_array_mut().unwrap().push(vuln);
    let policy = demo_policy("image-policy-requires-two-signatures-two-attestations")
        .authority(keyless)
        .authority(attested("keyatt", by_key(&key)))
        .authority(with(by_account(), "name", json!("keylesssignature")))
        .authority(with(by_key(&key), "name", json!("keysignature")))
        .rego(
            "package sigstore\nisCompliant {\n  found := input.authorityMatches\n  count(found.keylesssignature.signatures) >= 1\n  count(found.keysignature.signatures) >= 1\n  count(found.keyatt.attestations) >= 1\n  count(found.keylessatt.attestations) >= 2\n}\n",
        );
    let denied = stage.job(std::slice::from_ref(&policy), &demo).await;
    denies(
        &denied,
        "image-policy-requires-two-signatures-two-attestations",
        "policy-denied",
        "failed evaluating rego policy for type ClusterImagePolicy",
    );
    let scan = json!({
        "invocation": {"parameters": [], "uri": "", "event_id": "", "builder.id": ""},
        "scanner": {"uri": "", "version": "", "db": {"uri": "", "version": ""}, "result": null},
        "metadata": {"scanStartedOn": "2025-06-01T12:00:00Z", "scanFinishedOn": "2025-06-01T12:00:00Z"},
    });
    stage.attest_type(&demo, VULN, scan, &account());
    stage.job(&[policy], &demo).await.admitted("satisfied");
}
