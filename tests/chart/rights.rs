//! What our service account may do: this, and nothing else.

use serde_json::{Value, json};

use crate::rendered::{all, rendered, strings};

#[test]
fn the_rights_are_these() {
    let default = rendered("default");
    assert_eq!(
        default.one("ClusterRole")["rules"],
        json!([
            {"apiGroups": ["policy.sigstore.dev"], "resources": ["clusterimagepolicies", "trustroots"], "verbs": ["get", "list", "watch", "patch"]},
            {"apiGroups": ["policy.sigstore.dev"], "resources": ["clusterimagepolicies/status", "trustroots/status"], "verbs": ["patch", "update"]},
            {"apiGroups": [""], "resources": ["secrets", "serviceaccounts"], "verbs": ["get"]},
            {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
            {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
             "resourceNames": ["vouchsafe", "vouchsafe-policies"], "verbs": ["get", "list", "watch", "patch", "update"]},
        ])
    );
    assert_eq!(
        default.one("Role")["rules"],
        json!([
            {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["vouchsafe-tls"], "verbs": ["update", "patch"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list", "watch", "create", "update", "patch"]},
        ])
    );
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
