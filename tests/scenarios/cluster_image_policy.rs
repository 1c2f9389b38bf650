//! `e2e_test_cluster_image_policy.sh`, step by step.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA512};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use serde_json::{Value, json};
use vouchsafe::config::NoMatch;
use vouchsafe::demo::signer::{SignatureOptions, SigningKey, attach_signature};
use x509_cert::der::pem::{self, LineEnding};

use crate::sigstore::{Act, Key};
use crate::stage::{
    Image, Stage, account, becomes, by_account, by_key, demo_policy, denies, identity, job,
    new_key, with,
};
use crate::support::policies::{Policy, yaml};
use crate::support::webhook::{Answered, Review, Webhook};

const STATIC: &str = "disallowed by static policy";

fn keyless() -> Policy {
    demo_policy("image-policy-keyless").authority(by_account())
}

fn fixed(action: &str) -> Policy {
    demo_policy(&format!("image-policy-static-{action}")).authority(json!({
        "static": {"action": action},
    }))
}

fn of_namespace(name: &str, namespace: &str) -> Policy {
    let mut authority = by_account();
    authority["keyless"]["identities"] = json!([identity(namespace)]);
    demo_policy(name).authority(authority)
}

/// A stage with the image that the service account signed.
async fn signed() -> (Stage, Image) {
    let stage = Stage::new().await;
    let demo = stage.image("demo");
    stage.sign(&demo, &account());
    (stage, demo)
}

#[tokio::test]
async fn step_01_what_the_service_account_signed_is_admitted() {
    let (stage, demo) = signed().await;
    stage.job(&[keyless()], &demo).await.admitted("satisfied");
}

#[rstest]
#[case::step_02_a_static_policy_that_fails_denies_beside_it(&["fail"])]
#[case::step_03_one_that_passes_too_changes_nothing(&["fail", "pass"])]
#[tokio::test]
async fn every_policy_must_be_satisfied(#[case] actions: &[&str]) {
    let (stage, demo) = signed().await;
    let policies = actions.iter().map(|action| fixed(action));
    let policies: Vec<Policy> = [keyless()].into_iter().chain(policies).collect();
    let answered = stage.job(&policies, &demo).await;
    denies(&answered, "image-policy-static-fail", "static-deny", STATIC);
}

#[tokio::test]
async fn step_04_a_static_policy_that_passes_admits_beside_it() {
    let (stage, demo) = signed().await;
    let answered = stage.job(&[keyless(), fixed("pass")], &demo).await;
    answered.admitted("satisfied");
}

#[tokio::test]
async fn step_05_a_static_policy_that_passes_is_no_signature() {
    let (stage, _) = signed().await;
    let demo2 = stage.image("demo2");
    let answered = stage.job(&[keyless(), fixed("pass")], &demo2).await;
    denies(
        &answered,
        "image-policy-keyless",
        "unsigned",
        "no signatures found",
    );
}

#[tokio::test]
async fn step_06_a_policy_that_names_the_identity_admits() {
    let (stage, demo) = signed().await;
    let named = of_namespace("image-policy-keyless-with-identities", "default");
    let policies = [keyless(), fixed("pass"), named];
    stage.job(&policies, &demo).await.admitted("satisfied");
}

#[tokio::test]
async fn step_07_a_policy_that_names_another_identity_denies() {
    let (stage, demo) = signed().await;
    let name = "image-policy-keyless-with-identities-mismatch";
    let policies = [
        keyless(),
        fixed("pass"),
        of_namespace("image-policy-keyless-with-identities", "default"),
        of_namespace(name, "securenamespace"),
    ];
    let answered = stage.job(&policies, &demo).await;
    denies(
        &answered,
        name,
        "identity-mismatch",
        "none of the expected identities matched what was in the certificate",
    );
}

// --- keys ---

fn keyed(key: &Key) -> Policy {
    demo_policy("image-policy-key").authority(by_key(key))
}

/// The key, or the service account by the public Fulcio and without a log of the policy's own.
fn keyed_or_keyless(key: &Key, ignores_sct: bool) -> Policy {
    let mut keyless = json!({
        "url": "https://fulcio.sigstore.dev", "identities": [identity("default")],
    });
    if ignores_sct {
        keyless["insecureIgnoreSCT"] = json!(true);
    }
    keyed(key).authority(json!({ "keyless": keyless }))
}

#[tokio::test]
async fn step_08_a_policy_with_a_key_denies_what_the_account_signed() {
    let (stage, demo) = signed().await;
    let answered = stage.job(&[keyed(&new_key())], &demo).await;
    denies(
        &answered,
        "image-policy-key",
        "untrusted-signer",
        "no matching signatures",
    );
}

#[tokio::test]
async fn step_09_a_signature_by_the_key_admits() {
    let (stage, demo) = signed().await;
    let key = new_key();
    stage.sign(&demo, &Act::with_key(&key));
    stage.job(&[keyed(&key)], &demo).await.admitted("satisfied");
}

#[rstest]
#[case::step_10(false)]
#[case::step_12_without_certificate_timestamps(true)]
#[tokio::test]
async fn one_of_two_authorities_is_enough(#[case] ignores_sct: bool) {
    let (stage, demo) = signed().await;
    // By the key alone, by the account alone, by both.
    let (first, second) = (new_key(), new_key());
    let policy = keyed_or_keyless(&first, ignores_sct);
    stage.job(&[policy], &demo).await.admitted("satisfied");
    stage.sign(&demo, &Act::with_key(&second));
    let policy = keyed_or_keyless(&second, ignores_sct);
    stage.job(&[policy], &demo).await.admitted("satisfied");
    let other = stage.image("demo-by-key");
    stage.sign(&other, &Act::with_key(&second));
    let policy = keyed_or_keyless(&second, ignores_sct);
    stage.job(&[policy], &other).await.admitted("satisfied");
}

#[rstest]
#[case::step_11(false)]
#[case::step_13_without_certificate_timestamps(true)]
#[tokio::test]
async fn none_of_two_authorities_is_not_enough(#[case] ignores_sct: bool) {
    let stage = Stage::new().await;
    let demo2 = stage.image("demo2");
    let policy = keyed_or_keyless(&new_key(), ignores_sct);
    let answered = stage.job(&[policy], &demo2).await;
    denies(
        &answered,
        "image-policy-key",
        "unsigned",
        "no signatures found",
    );
}

// --- a key in a Secret, signatures elsewhere ---

/// The policies of steps 14 and 15, with the Secret.
fn with_secret(first: &Key, secret: &Key, more: &[Policy]) -> String {
    let authority = by_key(secret);
    let authority = with(
        authority,
        "key",
        json!({"secretRef": {"name": "cip-secret"}}),
    );
    let mut policies = vec![
        keyed_or_keyless(first, true),
        demo_policy("cip-key-secret").authority(authority),
    ];
    policies.extend_from_slice(more);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "cip-secret", "namespace": "cosign-system"},
        "data": {"secret": STANDARD.encode(secret.pem())},
    });
    format!("{}\n---\n{secret}\n", yaml(&policies))
}

/// What a Job is answered by a webhook with these documents that was not asked before.
async fn under(stage: &Stage, documents: &str, image: &Image) -> Answered {
    let webhook = stage.under_documents(documents, |_| {}).await;
    webhook.review(&job(&image.pinned())).await
}

#[tokio::test]
async fn steps_14_and_15_a_key_in_a_secret_decides() {
    let (stage, demo) = signed().await;
    let (first, secret) = (new_key(), new_key());
    stage.sign(&demo, &Act::with_key(&first));
    let documents = with_secret(&first, &secret, &[]);
    let webhook = stage.under_documents(&documents, |_| {}).await;
    let review = job(&demo.pinned());
    let denied = webhook.review(&review).await;
    let words = "no matching signatures";
    denies(&denied, "cip-key-secret", "untrusted-signer", words);
    // The script waits five seconds: what was listed before, by the policy that is satisfied too, must not be in the way for longer.
    stage.sign(&demo, &Act::with_key(&secret));
    becomes(&webhook, &review, "satisfied").await;
}

#[rstest]
#[case::step_16_a_policy_does_not_look_elsewhere_unasked(false)]
#[case::step_17_a_policy_looks_where_it_is_told(true)]
#[tokio::test]
async fn signatures_in_another_repository(#[case] says_where: bool) {
    let (stage, demo) = signed().await;
    let (first, secret, third) = (new_key(), new_key(), new_key());
    stage.sign(&demo, &Act::with_key(&first));
    stage.sign(&demo, &Act::with_key(&secret));
    let remote = format!("{}/remote-signature", demo.repository);
    stage.sign_elsewhere(&demo, &remote, &Act::with_key(&third));
    let mut authority = by_key(&third);
    if says_where {
        let oci = format!("{}/remote-signature", demo.name());
        authority = with(authority, "source", json!([{ "oci": oci }]));
    }
    let name = "image-policy-remote-source";
    let remote = demo_policy(name).authority(authority);
    let documents = with_secret(&first, &secret, &[remote]);
    let answered = under(&stage, &documents, &demo).await;
    if says_where {
        answered.admitted("satisfied");
    } else {
        let words = "no matching signatures";
        denies(&answered, name, "untrusted-signer", words);
    }
}

// --- labels ---

fn labelled(image: &Image, name: &str, value: &str) -> Review {
    let labels = json!({ name: value });
    Review::of(&[&image.pinned()]).set("/metadata/labels", labels)
}

async fn for_labels(stage: &Stage, key: &Key) -> Webhook {
    let pods = json!([{
        "resource": "pods", "group": "", "version": "*",
        "selector": {"matchLabels": {"match": "match"}},
    }]);
    let policy = demo_policy("image-policy-match-label").authority(by_key(key));
    let policies = yaml(&[policy.spec("match", pods)]);
    let allow = |settings: &mut vouchsafe::app::webhook::WebhookSettings| {
        settings.judge.no_match_policy = NoMatch::Allow;
    };
    stage.under_documents(&policies, allow).await
}

#[tokio::test]
async fn steps_18_to_20_a_policy_for_a_label_is_about_pods_with_that_label() {
    let (stage, demo) = signed().await;
    let key = new_key();
    let webhook = for_labels(&stage, &key).await;
    let denied = webhook.review(&labelled(&demo, "match", "match")).await;
    denied.denied("untrusted-signer");
    let begins =
        "validation failed: failed policy: image-policy-match-label: spec.containers[0].image";
    assert!(denied.message.starts_with(begins), "{}", denied.message);
    let other = webhook.review(&labelled(&demo, "test", "staging")).await;
    other.admitted("no-match");
    stage.sign(&demo, &Act::with_key(&key));
    let webhook = for_labels(&stage, &key).await;
    let signed = webhook.review(&labelled(&demo, "match", "match")).await;
    signed.admitted("satisfied");
}

// --- SHA-512 ---

/// An RSA key of 4096 bits.
struct Rsa(KeyPair);

impl Rsa {
    fn pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().unwrap();
        pem::encode_string("PUBLIC KEY", LineEnding::LF, der.as_ref()).unwrap()
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let random = SystemRandom::new();
        let signed = self
            .0
            .sign(&RSA_PKCS1_SHA512, &random, message, &mut signature);
        signed.unwrap();
        signature
    }
}

/// Under policy-controller this step shows nothing: a glob with a tag matches no reference that was pinned. Here it does (listed
/// difference), so the step is asked with the glob as it is meant, the key and hash of the script, and both outcomes.
#[tokio::test]
async fn step_21_a_glob_with_a_tag_matches_a_pinned_image_and_sha512_is_read() {
    let stage = Stage::new().await;
    let solver = stage.image("cert-manager-acmesolver");
    let rsa = Rsa(KeyPair::generate(KeySize::Rsa4096).unwrap());
    let policy = |hash: &str| {
        let key: Value = json!({"data": rsa.pem(), "hashAlgorithm": hash});
        Policy::new("image-policy-sha512-key")
            .glob("**/cert-manager-acmesolver:*")
            .authority(json!({ "key": key }))
    };
    let pod = Review::of(&[&format!("{}@{}", solver.tagged(), solver.digest)]);
    let unsigned = stage.under(&[policy("sha512")]).await.review(&pod).await;
    unsigned.denied("unsigned");

    let digest = solver.digest.to_string();
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": solver.name()},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    let payload = payload.to_string().into_bytes();
    let options = SignatureOptions {
        signature: Some(STANDARD.encode(rsa.sign(&payload))),
        payload: Some(payload),
        ..SignatureOptions::default()
    };
    // Signs nothing: the signature is given.
    let nobody = SigningKey::generate().unwrap();
    let store = stage.registry.store();
    attach_signature(store, &solver.repository, &solver.digest, &nobody, &options).unwrap();
    let signed = stage.under(&[policy("sha512")]).await.review(&pod).await;
    signed.admitted("satisfied");
    let other_hash = stage.under(&[policy("sha256")]).await.review(&pod).await;
    other_hash.denied("untrusted-signer");
}

// --- Pods ---

#[tokio::test]
async fn step_22_a_pod_of_a_signed_image_is_admitted() {
    let (stage, demo) = signed().await;
    let webhook = stage.under(&[keyless()]).await;
    webhook.judge(&demo.pinned()).await.admitted("satisfied");
}

/// `kubectl debug --image=IMAGE`
fn debug(running: &Image, image: &str) -> Review {
    let running = Review::of(&[&running.pinned()]);
    let debugger = json!([{"name": "debugger", "image": image}]);
    let debugged = running.clone().set("/spec/ephemeralContainers", debugger);
    debugged.over(&running).subresource("ephemeralcontainers")
}

#[tokio::test]
async fn step_23_a_debugger_that_no_policy_matches_is_denied() {
    let (stage, running) = signed().await;
    let busybox = stage.image("busybox").pinned();
    let webhook = stage.under(&[keyless()]).await;
    let answered = webhook.review(&debug(&running, &busybox)).await;
    answered.denied("no-match");
    let begins = "validation failed: no matching policies: spec.ephemeralContainers[0].image";
    assert!(answered.message.starts_with(begins), "{}", answered.message);
}

#[tokio::test]
async fn step_24_a_debugger_that_is_signed_is_admitted() {
    let (stage, demo) = signed().await;
    let webhook = stage.under(&[keyless()]).await;
    let answered = webhook.review(&debug(&demo, &demo.pinned())).await;
    answered.admitted("satisfied");
}
