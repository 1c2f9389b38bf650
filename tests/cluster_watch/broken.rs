//! What is wrong with one object is the matter of that object alone.

use serde_json::{Value, json};

use crate::stage::{POLICIES, Stage, config_map, passing, policy};

const BROKEN: &str = r#"vouchsafe_policies{state="broken"}"#;

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[key] = value;
    object
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_denies_what_it_matches_and_nothing_else() {
    let novel = with(passing("novel", "novel/"), "/spec/vouches", json!("yes"));
    let stage = Stage::with(&[passing("shop", "shop/"), novel, passing("tools", "tools/")]).await;
    stage.judge("shop/cart").await.admitted("static-pass");
    stage.judge("tools/saw").await.admitted("static-pass");
    let answer = stage.judge("novel/tool").await;
    answer.denied("policy-invalid");
    assert!(
        answer
            .message
            .contains("failed policy: novel: spec.containers[0].image"),
        "{}",
        answer.message
    );
    assert!(answer.message.contains("vouches"), "{}", answer.message);
    assert!((stage.metric(BROKEN).await - 1.0).abs() < 1e-9);
    stage.server.put(passing("novel", "novel/"));
    stage.becomes_admitted("novel/tool").await;
    // And back, while others go on.
    stage
        .server
        .put(with(passing("novel", "novel/"), "/spec/mode", json!(3)));
    stage.becomes_denied("novel/tool", "policy-invalid").await;
    stage.server.put(passing("late", "late/"));
    stage.becomes_admitted("late/tool").await;
    stage.server.delete(&format!("{POLICIES}/novel"));
    stage.becomes_denied("novel/tool", "no-match").await;
}

#[tokio::test]
async fn a_policy_of_which_not_even_the_images_can_be_read_denies_everything() {
    let stage = Stage::with(&[passing("shop", "shop/")]).await;
    let object = json!({"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy", "metadata": {"name": "strange"}, "spec": "none"});
    stage.server.put(object);
    let answer = stage.becomes_denied("shop/cart", "policy-invalid").await;
    assert!(answer.message.contains("strange"), "{}", answer.message);
    stage.server.delete(&format!("{POLICIES}/strange"));
    stage.becomes_admitted("shop/cart").await;
}

#[tokio::test]
async fn an_unreadable_policy_of_mode_warn_warns() {
    let novel = with(passing("novel", "shop/"), "/spec/vouches", json!("yes"));
    let novel = with(novel, "/spec/mode", json!("warn"));
    let stage = Stage::with(&[passing("shop", "shop/"), novel]).await;
    let answer = stage.judge("shop/cart").await;
    assert!(answer.allowed, "{}", answer.message);
    assert!(
        answer
            .warnings
            .iter()
            .any(|warning| warning.contains("novel")),
        "{:?}",
        answer.warnings
    );
}

#[tokio::test]
async fn fifty_bad_policies_leave_the_others_alone() {
    let wrong = [
        json!({"key": {"data": "---"}}),
        json!({"keyless": {"identities": [{"issuerRegExp": "(", "subject": "x"}]}}),
        json!({"key": {"kms": "gcpkms://nowhere"}}),
        json!({}),
        json!({"static": {"action": "perhaps"}}),
    ];
    let bad = (0..50).map(|n| {
        policy(
            &format!("bad-{n}"),
            &format!("bad{n}/"),
            &wrong[n % wrong.len()],
        )
    });
    let mut objects: Vec<Value> = bad.collect();
    objects.push(passing("shop", "shop/"));
    let stage = Stage::with(&objects).await;
    stage.judge("shop/cart").await.admitted("static-pass");
    for n in 0..50 {
        stage
            .judge(&format!("bad{n}/tool"))
            .await
            .denied("policy-invalid");
    }
    assert!((stage.metric(BROKEN).await - 50.0).abs() < 1e-9);
}

#[tokio::test]
async fn a_trust_root_that_cannot_be_read_is_the_matter_of_whom_it_concerns() {
    let root = json!({"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": "ours"}, "spec": {"novel": 1}});
    let identities = json!([{"issuer": "https://issuer.example", "subject": "release"}]);
    let keyless = json!({"keyless": {"identities": identities, "trustRootRef": "ours"}});
    let stage = Stage::with(&[
        root,
        policy("private", "private/", &keyless),
        passing("shop", "shop/"),
    ])
    .await;
    stage.judge("shop/cart").await.admitted("static-pass");
    assert!(!stage.judge("private/tool").await.allowed);
}

#[tokio::test]
async fn a_secret_that_is_deleted_breaks_its_policy_at_once_and_mends_it_when_it_is_back() {
    let key = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n";
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "release-key", "namespace": "cosign-system"},
        "data": {"cosign.pub": base64::Engine::encode(&base64::prelude::BASE64_STANDARD, key)},
    });
    let by_key = policy(
        "release",
        "shop/",
        &json!({"key": {"secretRef": {"name": "release-key"}}}),
    );
    let stage = Stage::with(&[secret.clone(), by_key, passing("other", "other/")]).await;
    // The key is there, and the registry is not.
    stage
        .judge("shop/cart")
        .await
        .denied("registry-unreachable");
    stage
        .server
        .delete("/api/v1/namespaces/cosign-system/secrets/release-key");
    let answer = stage.becomes_denied("shop/cart", "policy-invalid").await;
    assert!(answer.message.contains("release-key"), "{}", answer.message);
    stage.judge("other/tool").await.admitted("static-pass");
    stage.server.put(secret);
    stage
        .becomes_denied("shop/cart", "registry-unreachable")
        .await;
}

#[tokio::test]
async fn a_config_map_with_rules_is_followed_in_the_same_way() {
    let rules = |answer: &str| {
        let rego = format!("package sigstore\nisCompliant {{ {answer} }}");
        config_map("rules", &json!({"shop.rego": rego}))
    };
    let mut shop = passing("shop", "shop/");
    shop["spec"]["policy"] =
        json!({"type": "rego", "configMapRef": {"name": "rules", "key": "shop.rego"}});
    let stage = Stage::with(&[rules("true"), shop]).await;
    assert!(stage.judge("shop/cart").await.allowed);
    stage.server.put(rules("false"));
    stage.becomes_denied("shop/cart", "policy-denied").await;
    stage
        .server
        .delete("/api/v1/namespaces/cosign-system/configmaps/rules");
    stage.becomes_denied("shop/cart", "policy-invalid").await;
    stage.server.put(rules("true"));
    stage.becomes_admitted("shop/cart").await;
}
