//! What our service account may do: this, and nothing else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::rendered::{all, rendered, root, strings};

/// A right and its use: group and resource, verb, the file that uses it, and the words there that do. `kube_lease_manager` and the watcher
/// of `kube` are used through what is named here.
type Use = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

/// The whole of what is done to the API server. A right that is not here is not granted, and one that is not used any more fails below.
const CLUSTER_WIDE: [Use; 19] = [
    (
        "policy.sigstore.dev",
        "clusterimagepolicies",
        "list",
        "watch.rs",
        ".list(&params)",
    ),
    (
        "policy.sigstore.dev",
        "clusterimagepolicies",
        "watch",
        "watch.rs",
        ".watch(&params",
    ),
    (
        "policy.sigstore.dev",
        "clusterimagepolicies",
        "patch",
        "status.rs",
        "api.patch(&target.name",
    ),
    (
        "policy.sigstore.dev",
        "trustroots",
        "list",
        "watch.rs",
        ".list(&params)",
    ),
    (
        "policy.sigstore.dev",
        "trustroots",
        "watch",
        "watch.rs",
        ".watch(&params",
    ),
    (
        "policy.sigstore.dev",
        "trustroots",
        "patch",
        "status.rs",
        "api.patch(&target.name",
    ),
    (
        "policy.sigstore.dev",
        "clusterimagepolicies/status",
        "patch",
        "status.rs",
        "api.patch_status(",
    ),
    (
        "policy.sigstore.dev",
        "trustroots/status",
        "patch",
        "status.rs",
        "api.patch_status(",
    ),
    (
        "",
        "secrets",
        "get",
        "pull_secrets.rs",
        "secrets.get_opt(name)",
    ),
    (
        "",
        "serviceaccounts",
        "get",
        "pull_secrets.rs",
        "accounts.get_opt(name)",
    ),
    (
        "events.k8s.io",
        "events",
        "create",
        "events.rs",
        "events.create(",
    ),
    (
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
        "get",
        "serving/configurations.rs",
        "self.api.get_opt(",
    ),
    (
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
        "list",
        "serving/configurations.rs",
        "watcher(one.api",
    ),
    (
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
        "watch",
        "serving/configurations.rs",
        "watcher(one.api",
    ),
    (
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
        "patch",
        "serving/configurations.rs",
        "self.api.patch(",
    ),
    (
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations",
        "get",
        "serving/configurations.rs",
        "self.api.get_opt(",
    ),
    (
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations",
        "list",
        "serving/configurations.rs",
        "watcher(one.api",
    ),
    (
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations",
        "watch",
        "serving/configurations.rs",
        "watcher(one.api",
    ),
    (
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations",
        "patch",
        "serving/configurations.rs",
        "self.api.patch(",
    ),
];

/// The same, in our own namespace.
const OURS: [Use; 12] = [
    ("", "configmaps", "list", "watch.rs", ".list(&params)"),
    ("", "configmaps", "watch", "watch.rs", ".watch(&params"),
    ("", "secrets", "list", "watch.rs", ".list(&params)"),
    (
        "",
        "secrets",
        "watch",
        "serving/secret.rs",
        "watcher(self.api",
    ),
    (
        "",
        "secrets",
        "create",
        "serving/secret.rs",
        "self.api.create(",
    ),
    (
        "",
        "secrets",
        "get",
        "serving/secret.rs",
        "self.api.get_opt(",
    ),
    (
        "",
        "secrets",
        "update",
        "serving/secret.rs",
        "self.api.replace(",
    ),
    (
        "coordination.k8s.io",
        "leases",
        "list",
        "predecessor.rs",
        "self.leases.list(",
    ),
    (
        "coordination.k8s.io",
        "leases",
        "create",
        "leader.rs",
        "LeaseCreateMode::AutoCreate",
    ),
    (
        "coordination.k8s.io",
        "leases",
        "get",
        "leader.rs",
        "leases.get(&self.lease)",
    ),
    (
        "coordination.k8s.io",
        "leases",
        "patch",
        "leader.rs",
        "manager.changed()",
    ),
    (
        "coordination.k8s.io",
        "leases",
        "patch",
        "leader.rs",
        "manager.release()",
    ),
];

/// Group, resource and verb of every rule of a role.
fn granted(role: &Value) -> BTreeSet<(String, String, String)> {
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in strings(&rule["apiGroups"]) {
            for resource in strings(&rule["resources"]) {
                for verb in strings(&rule["verbs"]) {
                    granted.insert((group.to_owned(), resource.to_owned(), verb.to_owned()));
                }
            }
        }
    }
    granted
}

/// T-93: what is granted is what is used, and what is used is there.
#[test]
fn t93_every_right_has_its_use_and_every_use_its_right() {
    let default = rendered("default");
    for (kind, uses) in [("ClusterRole", &CLUSTER_WIDE[..]), ("Role", &OURS)] {
        let mut used = BTreeSet::new();
        for (group, resource, verb, file, words) in uses {
            let path = root("src/adapters/cluster").join(file);
            let source = std::fs::read_to_string(path).unwrap();
            assert!(
                source.contains(words),
                "{file} does not say {words:?}: is {verb} on {resource} still used?"
            );
            used.insert((
                (*group).to_owned(),
                (*resource).to_owned(),
                (*verb).to_owned(),
            ));
        }
        assert_eq!(granted(default.one(kind)), used, "{kind}");
    }
}

/// What can be restricted by name is.
#[test]
fn t93_what_has_a_name_of_ours_is_granted_for_that_name_alone() {
    let default = rendered("default");
    let named = |kind: &str, resource: &str, verb: &str| {
        let rules = default.one(kind)["rules"].as_array().unwrap();
        let has = |rule: &&Value| {
            strings(&rule["resources"]).contains(&resource)
                && strings(&rule["verbs"]).contains(&verb)
        };
        let rule = rules.iter().find(has).unwrap();
        strings(&rule["resourceNames"]).join(" ")
    };
    for kind in [
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
    ] {
        for verb in ["get", "list", "watch", "patch"] {
            assert_eq!(
                named("ClusterRole", kind, verb),
                "vouchsafe vouchsafe-policies"
            );
        }
    }
    for verb in ["get", "update"] {
        assert_eq!(named("Role", "secrets", verb), "vouchsafe-tls");
    }
    for verb in ["get", "patch"] {
        assert_eq!(named("Role", "leases", verb), "vouchsafe");
    }
}

/// `rbac.pullSecrets: false`
#[test]
fn t93_without_pull_secrets_no_secret_of_the_cluster_can_be_read_and_none_is_asked_for() {
    for rendering in all() {
        let role = granted(rendering.one("ClusterRole"));
        let may = role
            .iter()
            .any(|(_, resource, _)| ["secrets", "serviceaccounts"].contains(&resource.as_str()));
        let pods = &rendering.one("Deployment")["spec"]["template"]["spec"];
        let ignores = strings(&pods["containers"][0]["args"]).contains(&"--pull-secrets=ignore");
        assert_eq!(may, !ignores, "{}", rendering.name);
        assert_eq!(ignores, rendering.name == "secret");
    }
}

/// Every rule of every Role in every rendering.
fn rules() -> Vec<(bool, Value)> {
    let mut rules = Vec::new();
    for rendering in all() {
        for kind in ["ClusterRole", "Role"] {
            for role in rendering.of_kind(kind) {
                let own = role["rules"].as_array().unwrap().iter();
                rules.extend(own.map(|rule| (kind == "ClusterRole", rule.clone())));
            }
        }
    }
    rules
}

#[test]
fn nobody_may_list_the_secrets_of_the_cluster() {
    for (cluster_wide, rule) in rules() {
        if cluster_wide && strings(&rule["resources"]).contains(&"secrets") {
            assert_eq!(strings(&rule["verbs"]), ["get"], "{rule}");
        }
    }
}

#[test]
fn nothing_is_granted_by_a_star_and_nothing_is_deleted() {
    for (_, rule) in rules() {
        for list in ["apiGroups", "resources", "verbs"] {
            let named = strings(&rule[list]);
            assert!(!named.iter().any(|name| name.contains('*')), "{rule}");
        }
        let verbs = strings(&rule["verbs"]);
        for verb in [
            "delete",
            "deletecollection",
            "bind",
            "escalate",
            "impersonate",
        ] {
            assert!(!verbs.contains(&verb), "{rule}");
        }
        assert!(
            !strings(&rule["resources"]).contains(&"customresourcedefinitions"),
            "{rule}"
        );
    }
}

#[test]
fn who_does_not_make_its_certificate_may_not_write_webhook_configurations() {
    for name in ["cert-manager", "secret"] {
        let rendering = rendered(name);
        for kind in ["ClusterRole", "Role"] {
            for rule in rendering.one(kind)["rules"].as_array().unwrap() {
                let groups = strings(&rule["apiGroups"]);
                assert!(!groups.contains(&"admissionregistration.k8s.io"), "{rule}");
                let writes = strings(&rule["verbs"])
                    .iter()
                    .any(|verb| ["create", "update", "patch"].contains(verb));
                let secrets = strings(&rule["resources"]).contains(&"secrets");
                assert!(!(writes && secrets), "{rule}");
            }
        }
    }
}

#[test]
fn roles_are_bound_to_our_own_service_account() {
    for rendering in all() {
        let pods = &rendering.one("Deployment")["spec"]["template"]["spec"];
        for kind in ["ClusterRoleBinding", "RoleBinding"] {
            let binding = rendering.one(kind);
            assert_eq!(
                binding["subjects"],
                json!([{"kind": "ServiceAccount", "name": pods["serviceAccountName"], "namespace": "cosign-system"}])
            );
            assert_eq!(binding["roleRef"]["name"], json!(rendering.full_name()));
        }
        let account = rendering.one("ServiceAccount");
        assert_eq!(account["automountServiceAccountToken"], false);
        assert_eq!(pods["automountServiceAccountToken"], true);
    }
}
