//! The webhook configurations: what they cover, and what becomes of it while nobody answers.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};
use vouchsafe::workload::Kinds;

use crate::rendered::{all, rendered, strings};

const VALIDATING: &str = "ValidatingWebhookConfiguration";
const MUTATING: &str = "MutatingWebhookConfiguration";

/// Group, resource and operation of every rule.
fn registered(webhook: &Value) -> BTreeSet<(String, String, String)> {
    let mut registered = BTreeSet::new();
    for rule in webhook["rules"].as_array().unwrap() {
        for group in strings(&rule["apiGroups"]) {
            for resource in strings(&rule["resources"]) {
                for operation in strings(&rule["operations"]) {
                    let all = [group, resource, operation].map(str::to_owned);
                    let [group, resource, operation] = all;
                    assert!(registered.insert((group, resource, operation)));
                }
            }
        }
    }
    registered
}

/// What the program reads: every kind on CREATE and UPDATE, and ephemeral containers.
fn judged(resources: impl Iterator<Item = (String, String)>) -> BTreeSet<(String, String, String)> {
    let both = resources.flat_map(|(group, resource)| {
        ["CREATE", "UPDATE"]
            .map(|operation| (group.clone(), resource.clone(), operation.to_owned()))
    });
    let ephemeral = ["", "pods/ephemeralcontainers", "UPDATE"].map(str::to_owned);
    let [group, resource, operation] = ephemeral;
    both.chain([(group, resource, operation)]).collect()
}

/// Whether a namespace with these labels is covered.
fn covers(webhook: &Value, labels: &Value) -> bool {
    let expressions = webhook["namespaceSelector"]["matchExpressions"].as_array();
    expressions.unwrap().iter().all(|expression| {
        let value = labels.get(expression["key"].as_str().unwrap());
        let listed = value.is_some_and(|value| {
            let values = expression["values"].as_array();
            values.is_some_and(|values| values.contains(value))
        });
        match expression["operator"].as_str().unwrap() {
            "In" => listed,
            "NotIn" => !listed,
            other => panic!("{other} is not known here"),
        }
    })
}

fn labels(name: &str, include: Option<&str>) -> Value {
    let mut labels = json!({"kubernetes.io/metadata.name": name});
    if let Some(include) = include {
        labels["policy.sigstore.dev/include"] = json!(include);
    }
    labels
}

#[test]
fn the_rules_name_exactly_the_kinds_that_the_program_reads() {
    let built_in = Kinds::built_in();
    let resources = || {
        let kinds = built_in.iter();
        kinds.map(|kind| (kind.group.clone(), kind.resource.clone()))
    };
    let expected = judged(resources());
    for name in ["default", "opt-out", "cert-manager", "secret", "shadow"] {
        assert_eq!(registered(rendered(name).validating()), expected, "{name}");
    }
    let custom = [
        ("argoproj.io", "rollouts"),
        ("kubevirt.io", "virtualmachines"),
    ]
    .map(|(group, resource)| (group.to_owned(), resource.to_owned()));
    let expected = judged(resources().chain(custom));
    let everything = rendered("everything");
    assert_eq!(registered(everything.validating()), expected);
    let mutating = everything.webhook(MUTATING, "image-admission");
    assert_eq!(registered(mutating), expected);
}

#[test]
fn with_pin_only_pods_are_rewritten_and_without_pins_nothing_is() {
    let pods = judged([(String::new(), "pods".to_owned())].into_iter());
    let default = rendered("default");
    assert_eq!(registered(default.webhook(MUTATING, "vouchsafe")), pods);
    // `require` in one; in the other shadow, which changes nothing.
    for name in ["secret", "shadow"] {
        assert!(rendered(name).of_kind(MUTATING).is_empty(), "{name}");
    }
}

#[test]
fn no_rule_has_a_star_for_a_group_or_resource_of_kubernetes() {
    for rendering in all() {
        for kind in [VALIDATING, MUTATING] {
            for configuration in rendering.of_kind(kind) {
                let rules = &configuration["webhooks"][0]["rules"];
                for rule in rules.as_array().unwrap() {
                    for list in ["apiGroups", "resources", "operations"] {
                        let named = strings(&rule[list]);
                        assert!(!named.iter().any(|name| name.contains('*')), "{rule}");
                    }
                }
            }
        }
    }
}

#[test]
fn images_fail_closed_and_what_only_helps_does_not() {
    for rendering in all() {
        let name = rendering.full_name();
        let shadow = rendering.name == "shadow";
        let expected = if shadow { "Ignore" } else { "Fail" };
        assert_eq!(rendering.validating()["failurePolicy"], expected);
        for configuration in rendering.of_kind(MUTATING) {
            assert_eq!(configuration["webhooks"][0]["failurePolicy"], "Ignore");
            assert_eq!(
                configuration["webhooks"][0]["reinvocationPolicy"],
                "IfNeeded"
            );
        }
        let policies = rendering.webhook(VALIDATING, &format!("{name}-policies"));
        let asked = rendering.name == "everything";
        assert_eq!(
            policies["failurePolicy"],
            if asked { "Fail" } else { "Ignore" }
        );
        assert_eq!(policies["timeoutSeconds"], 5);
    }
}

#[test]
fn every_webhook_says_what_the_api_server_would_otherwise_guess() {
    for rendering in all() {
        let name = rendering.full_name();
        for kind in [VALIDATING, MUTATING] {
            for configuration in rendering.of_kind(kind) {
                let webhook = &configuration["webhooks"][0];
                let of_policies = configuration["metadata"]["name"] != json!(name);
                let effects = if of_policies { "None" } else { "NoneOnDryRun" };
                assert_eq!(webhook["sideEffects"], effects);
                assert_eq!(webhook["matchPolicy"], "Equivalent");
                assert_eq!(webhook["admissionReviewVersions"], json!(["v1"]));
                let path = match (kind, of_policies) {
                    (VALIDATING, false) => "/validate",
                    (VALIDATING, true) => "/validate-policy",
                    _ => "/mutate",
                };
                let named = if of_policies {
                    "validating.clusterimagepolicy.sigstore.dev"
                } else {
                    "policy.sigstore.dev"
                };
                assert_eq!(webhook["name"], named);
                let service = &webhook["clientConfig"]["service"];
                assert_eq!(
                    (&service["path"], &service["name"]),
                    (&json!(path), &json!(name))
                );
                let ours = rendering.of_kind("Service");
                let ours = ours
                    .iter()
                    .find(|one| one["metadata"]["name"] == json!(name));
                assert_eq!(service["port"], ours.unwrap()["spec"]["ports"][0]["port"]);
            }
        }
    }
}

/// A field that the chart sets would be reset by every upgrade.
#[test]
fn the_authority_of_a_managed_certificate_is_never_in_the_chart() {
    for rendering in all() {
        for kind in [VALIDATING, MUTATING] {
            for configuration in rendering.of_kind(kind) {
                let bundle = &configuration["webhooks"][0]["clientConfig"]["caBundle"];
                assert_eq!(bundle.is_string(), rendering.name == "secret");
                let annotations = &configuration["metadata"]["annotations"];
                assert_eq!(
                    annotations["cert-manager.io/inject-ca-from"].is_string(),
                    rendering.name == "cert-manager"
                );
            }
        }
    }
}

#[rstest]
#[case::labelled("default", "shop", Some("true"), true)]
#[case::not_labelled("default", "shop", None, false)]
#[case::labelled_otherwise("default", "shop", Some("yes"), false)]
#[case::left_out("default", "shop", Some("false"), false)]
#[case::our_own_labelled("default", "cosign-system", Some("true"), false)]
#[case::every("opt-out", "shop", None, true)]
#[case::every_labelled("opt-out", "shop", Some("true"), true)]
#[case::t64_no_label_exempts("opt-out", "shop", Some("false"), true)]
#[case::a_label_exempts_where_the_operator_says_so("everything", "shop", Some("false"), false)]
#[case::our_own("opt-out", "cosign-system", None, false)]
#[case::system("opt-out", "kube-system", None, false)]
#[case::nodes("opt-out", "kube-node-lease", None, false)]
#[case::of_the_operator("opt-out", "storage", None, false)]
#[case::system_labelled("everything", "kube-system", Some("true"), false)]
fn a_namespace_is_covered_as_its_scope_says(
    #[case] rendering: &str,
    #[case] name: &str,
    #[case] include: Option<&str>,
    #[case] covered: bool,
) {
    let rendering = rendered(rendering);
    let labels = labels(name, include);
    assert_eq!(covers(rendering.validating(), &labels), covered);
    for configuration in rendering.of_kind(MUTATING) {
        assert_eq!(covers(&configuration["webhooks"][0], &labels), covered);
    }
}

#[test]
fn an_operator_may_leave_more_namespaces_out() {
    let mut labels = labels("shop", None);
    labels["example.com/tier"] = json!("sandbox");
    assert!(!covers(rendered("opt-out").validating(), &labels));
}

/// T-86: whoever writes an object chooses its labels.
#[test]
fn no_object_can_choose_not_to_be_judged() {
    for rendering in all() {
        assert_eq!(rendering.validating()["objectSelector"], Value::Null);
    }
}
