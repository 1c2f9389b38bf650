//! The Deployment.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::rendered::{all, rendered};
use crate::support::command::vouchsafe;

/// Flags of `serve` that the chart has no value for, and why.
const NOT_IN_A_CLUSTER: [&str; 5] = [
    // Policies are read from the API server.
    "--policies",
    // The service account of the Pod says who we are.
    "--kubeconfig",
    // The certificate is shared in a Secret, and published.
    "--ca-out",
    "--help",
    "--version",
];

/// Flags that are there or not, without a value.
const SWITCHES: [&str; 1] = ["--denial-events"];

/// Names of the flags in a help text.
fn flags_of(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim_start);
    let flags = lines.filter_map(|line| {
        let line = line
            .strip_prefix("-h, ")
            .or(line.strip_prefix("-V, "))
            .unwrap_or(line);
        let flag = line.split([' ', '=']).next()?;
        flag.starts_with("--").then(|| flag.to_owned())
    });
    flags.collect()
}

/// Names of the flags that a rendering sets, by argument or by environment.
fn set_in(rendering: &crate::rendered::Rendered) -> BTreeSet<String> {
    let by_argument = rendering.args().into_iter().skip(1).map(|arg| {
        let flag = arg.split('=').next().unwrap();
        // A flag and its value are one argument.
        assert_eq!(arg.contains('='), !SWITCHES.contains(&flag), "{arg}");
        flag.to_owned()
    });
    let env = rendering.container()["env"].as_array().unwrap();
    let by_environment = env.iter().filter_map(|variable| {
        let name = variable["name"].as_str()?.strip_prefix("VOUCHSAFE_")?;
        Some(format!("--{}", name.to_lowercase().replace('_', "-")))
    });
    by_argument.chain(by_environment).collect()
}

#[test]
fn every_flag_of_serve_has_a_value_and_no_other_is_set() {
    let known = flags_of(&vouchsafe(["serve", "--help"]).end().stdout);
    assert!(known.len() > 20, "{known:?}");
    let set: BTreeSet<String> = all().iter().flat_map(set_in).collect();
    let expected = known
        .into_iter()
        .filter(|flag| !NOT_IN_A_CLUSTER.contains(&flag.as_str()));
    assert_eq!(set, expected.collect());
}

#[test]
fn serve_takes_the_flags_that_are_rendered() {
    for rendering in all() {
        let args = rendering.args().into_iter().chain(["--help"]);
        let ended = vouchsafe(args).end();
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (0, ""),
            "{}",
            rendering.name
        );
    }
}

#[test]
fn pods_have_no_more_rights_on_their_node_than_they_need() {
    for rendering in all() {
        let pod = &rendering.one("Deployment")["spec"]["template"]["spec"];
        assert_eq!(
            pod["securityContext"],
            json!({"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}})
        );
        assert_eq!(
            rendering.container()["securityContext"],
            json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}})
        );
        for probe in rendering.of_kind("Pod") {
            assert_eq!(probe["spec"]["securityContext"], pod["securityContext"]);
            assert_eq!(probe["spec"]["automountServiceAccountToken"], false);
            assert_eq!(
                probe["spec"]["containers"][0]["securityContext"],
                rendering.container()["securityContext"]
            );
        }
        for forbidden in ["hostPID", "hostIPC"] {
            assert_eq!(pod[forbidden], Value::Null);
        }
        let network = rendering.name == "everything";
        assert_eq!(pod["hostNetwork"] == json!(true), network);
    }
}

#[test]
fn memory_is_bounded_and_the_processor_is_not() {
    for rendering in all() {
        let resources = &rendering.container()["resources"];
        assert_eq!(resources["limits"]["cpu"], Value::Null);
        assert_eq!(
            resources["limits"]["memory"],
            resources["requests"]["memory"]
        );
        assert!(resources["requests"]["cpu"].is_string());
    }
}

/// A Service of our name would otherwise set `VOUCHSAFE_PORT`.
#[test]
fn nothing_but_the_chart_puts_settings_into_the_environment() {
    for rendering in all() {
        let pod = &rendering.one("Deployment")["spec"]["template"]["spec"];
        assert_eq!(pod["enableServiceLinks"], false);
    }
}

#[test]
fn a_pod_is_given_the_time_to_stop_that_it_takes() {
    for rendering in all() {
        let pod = &rendering.one("Deployment")["spec"]["template"]["spec"];
        let args = rendering.args();
        let delay = args
            .iter()
            .find_map(|arg| arg.strip_prefix("--stop-delay="));
        let delay: u64 = delay.unwrap().parse().unwrap();
        // The longest review of all, and what is left to do then.
        assert_eq!(pod["terminationGracePeriodSeconds"], delay + 30 + 5);
    }
}

#[test]
fn there_are_never_fewer_replicas_than_asked_for() {
    let default = rendered("default");
    let deployment = &default.one("Deployment")["spec"];
    assert_eq!(deployment["replicas"], 2);
    assert_eq!(
        deployment["strategy"]["rollingUpdate"],
        json!({"maxUnavailable": 0, "maxSurge": 1})
    );
    assert_eq!(
        default.one("PodDisruptionBudget")["spec"]["maxUnavailable"],
        1
    );
    let spread = deployment["template"]["spec"]["topologySpreadConstraints"].as_array();
    assert_eq!(spread.unwrap().len(), 2);
}

#[test]
fn everything_that_selects_pods_selects_ours() {
    for rendering in all() {
        let labels = &rendering.one("Deployment")["spec"]["template"]["metadata"]["labels"];
        let selects = |selector: &Value| {
            let wanted = selector.as_object().unwrap();
            assert!(!wanted.is_empty());
            assert!(wanted.iter().all(|(key, value)| labels[key] == *value));
        };
        for service in rendering.of_kind("Service") {
            selects(&service["spec"]["selector"]);
        }
        selects(&rendering.one("Deployment")["spec"]["selector"]["matchLabels"]);
        selects(&rendering.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]);
        selects(&rendering.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]);
        let pod = &rendering.one("Deployment")["spec"]["template"]["spec"];
        for constraint in pod["topologySpreadConstraints"].as_array().unwrap() {
            selects(&constraint["labelSelector"]["matchLabels"]);
        }
    }
}

#[test]
fn probes_ask_the_admin_port() {
    for rendering in all() {
        let container = rendering.container();
        for (probe, path) in [
            ("startupProbe", "/healthz"),
            ("livenessProbe", "/healthz"),
            ("readinessProbe", "/readyz"),
        ] {
            let asked = &container[probe]["httpGet"];
            assert_eq!(*asked, json!({"path": path, "port": "admin"}));
        }
        for (name, flag) in [("webhook", "--listen="), ("admin", "--admin-listen=")] {
            let ports = container["ports"].as_array().unwrap();
            let port = ports.iter().find(|port| port["name"] == name).unwrap();
            let args = rendering.args();
            let listens = args.iter().find_map(|arg| arg.strip_prefix(flag)).unwrap();
            let address: std::net::SocketAddr = listens.parse().unwrap();
            assert_eq!(port["containerPort"], address.port());
        }
    }
}

/// What is mounted by `subPath` does not follow its Secret or ConfigMap.
#[test]
fn files_are_mounted_as_folders_and_read_only() {
    for rendering in all() {
        let pod = &rendering.one("Deployment")["spec"]["template"]["spec"];
        let names = |list: &Value| -> BTreeSet<String> {
            let items = list.as_array().unwrap().iter();
            items.map(|item| item["name"].to_string()).collect()
        };
        let mounts = &rendering.container()["volumeMounts"];
        assert_eq!(names(mounts), names(&pod["volumes"]));
        for mount in mounts.as_array().unwrap() {
            assert_eq!(mount["subPath"], Value::Null);
            assert!(
                mount["name"] == "state" || mount["readOnly"] == true,
                "{mount}"
            );
        }
        for volume in pod["volumes"].as_array().unwrap() {
            assert_eq!(volume["hostPath"], Value::Null, "{volume}");
        }
    }
}

#[test]
fn every_file_that_a_flag_names_is_mounted() {
    for rendering in all() {
        let mounts = rendering.container()["volumeMounts"].as_array().unwrap();
        for arg in rendering.args() {
            let Some((_, path)) = arg.split_once("=/") else {
                continue;
            };
            let path = format!("/{path}");
            let below = |mount: &Value| path.starts_with(mount["mountPath"].as_str().unwrap());
            assert!(mounts.iter().any(below), "{arg} in {}", rendering.name);
            let Some(file) = path.strip_prefix("/etc/vouchsafe/config/") else {
                continue;
            };
            let maps = rendering.of_kind("ConfigMap");
            assert!(
                maps.iter().any(|map| map["data"][file].is_string()),
                "{arg}"
            );
        }
    }
}

/// Kinds are read at start alone: another list must make other Pods.
#[test]
fn a_change_of_the_kinds_rolls_the_pods() {
    let annotations = |rendering: &str| {
        let rendering = rendered(rendering);
        rendering.one("Deployment")["spec"]["template"]["metadata"]["annotations"].clone()
    };
    assert!(annotations("everything")["checksum/kinds"].is_string());
    assert_eq!(annotations("default")["checksum/kinds"], Value::Null);
}
