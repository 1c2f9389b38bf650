//! Identities instead of keys: cosign signs by a Sigstore of one's own, of real parts, and the cluster is told to trust that by a `TrustRoot`.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::denied;
use super::workloads::deploy;
use crate::cluster::{self, Cluster};
use crate::process::succeed;
use crate::stage::Image;
use crate::tools;
use services::{Log, Services};
use signing::{Shape, Trusted};

#[path = "../../e2e/private/issuer.rs"]
mod issuer;
#[allow(dead_code, reason = "the other suite uses all of it")]
#[path = "../../e2e/private/services.rs"]
mod services;
#[path = "../../e2e/private/signing.rs"]
mod signing;

const WHO: &str = "release@shop.example";
const STRANGER: &str = "stranger@shop.example";
/// The `TrustRoot`, and the policy.
const ROOT: &str = "private";
const POLICY: &str = "keyless";

pub(super) fn trials() -> Vec<Trial> {
    let cases = [
        (Log::V2, Shape::Bundle, "rekor-v2"),
        (Log::V1, Shape::Tags, "rekor-v1"),
    ];
    let trial = |(log, shape, place): (Log, Shape, &'static str)| {
        let name = format!(
            "keyless: {} by a private sigstore ({}) are admitted, and those of nobody else",
            shape.name(),
            log.name()
        );
        let needs = [cluster::needs(), log.needs()].concat();
        tools::trial(name, &needs, move || admits_an_identity(log, shape, place))
    };
    cases.map(trial).into()
}

/// `place` is where the images are in the registry.
fn admits_an_identity(log: Log, shape: Shape, place: &'static str) {
    let cluster = cluster::installed();
    let stage = cluster.stage();
    let folder = stage.path(place);
    std::fs::create_dir(&folder).unwrap();
    let services = Services::start(log, &folder);
    let [signed, strangers, unsigned] =
        ["signed", "strangers", "unsigned"].map(|name| stage.image_at(&format!("{place}/{name}")));
    for (image, who) in [(&signed, WHO), (&strangers, STRANGER)] {
        let mut command = signing::cosign(stage, &services, shape, "sign", who);
        succeed(command.arg(&image.by_digest));
    }
    cluster.must(cluster.apply(&Trusted::of(&services).trust_root(ROOT, &services)));
    cluster.must(cluster.apply(&policy(cluster, &services, place)));
    // From here on nobody needs them.
    drop(services);
    cluster.until_ready(&format!("trustroot/{ROOT}"));
    cluster.until_ready(&format!("cip/{POLICY}"));

    let try_to_run = |image: &Image| cluster.try_to_run("default", &image.by_digest);
    cluster.until("the policy is in force", || {
        try_to_run(&signed).status.success()
    });
    let namespace = format!("keyless-{place}");
    cluster.covered(&namespace);
    deploy(cluster, &namespace, &signed.by_tag, 1);

    let said = try_to_run(&strangers);
    let expected = "Error from server (Forbidden): admission webhook \"policy.sigstore.dev\" denied the request: validation failed: failed policy: keyless: spec.containers[0].image\n";
    assert!(said.stderr.starts_with(expected), "{}", said.stderr);
    denied(&said, "no matching signatures");
    denied(&said, STRANGER);
    denied(&said, WHO);
    let image = format!("--image={}", strangers.by_tag);
    let said = cluster.kubectl(&["-n", &namespace, "create", "deployment", "other", &image]);
    denied(
        &said,
        "failed policy: keyless: spec.template.spec.containers[0].image",
    );
    denied(&said, STRANGER);
    denied(&try_to_run(&unsigned), "no signatures found");

    // Without the root nobody is known any more.
    cluster.ok(&["delete", "trustroot", ROOT]);
    cluster.until("it is denied for want of the TrustRoot", || {
        let said = try_to_run(&signed);
        said.stderr.contains("failed policy: keyless") && said.stderr.contains(ROOT)
    });
    cluster.ok(&["delete", "cip", POLICY]);
}

/// A policy by which images of that place want a signature by [`WHO`].
fn policy(cluster: &Cluster, services: &Services, place: &str) -> Value {
    json!({
        "apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": "ClusterImagePolicy",
        "metadata": {"name": POLICY},
        "spec": {
            "images": [{"glob": format!("{}/{place}/**", cluster.stage().host())}],
            "authorities": [{"name": "release", "keyless": {
                "url": services.fulcio(),
                "insecureIgnoreSCT": services.log != Log::V1,
                "identities": [{"issuer": services.issuer.url(), "subject": WHO}],
                "trustRootRef": ROOT,
            }}],
        },
    })
}
