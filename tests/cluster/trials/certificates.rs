//! Certificates that somebody else makes: the chart asks cert-manager for one, and these trials are what cert-manager is to us. They write
//! the Secret, and `caBundle` where the annotation of its injector is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::Trial;
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use serde_json::{Value, json};

use super::absence::our_pods;
use super::changes::{configurations, loaded, rolled_out};
use super::trial;
use crate::cluster::{self, Cluster};
use crate::kubelet::OURS;

/// The Certificate of the chart, and the Secret that it names.
const CERTIFICATE: &str = "vouchsafe-serving";
/// What the chart makes of cert-manager's kinds.
const KINDS: [(&str, &str); 2] = [("Certificate", "certificates"), ("Issuer", "issuers")];
/// The years with which the first certificate ends, and the last.
const FIRST: i32 = 2101;
const LAST: i32 = 2104;
/// Calls that are made at least, while certificates are renewed.
const CALLS: usize = 2_500;

pub(super) fn trials() -> Vec<Trial> {
    vec![trial(
        "certificates: what cert-manager renews is shown, and no call fails",
        follows_cert_manager,
    )]
}

fn follows_cert_manager() {
    let cluster = cluster::installed();
    for (kind, plural) in KINDS {
        cluster.must(cluster.apply(&definition(kind, plural)));
    }
    let values = [
        "--set",
        "tls.mode=certManager",
        "--set",
        "reloadIntervalSeconds=1",
    ];
    let upgrade = std::thread::spawn(move || cluster.helm_chart("upgrade", &values));
    cluster.until("the chart has asked for a certificate", || {
        let asked = ["-n", OURS, "get", "certificate", CERTIFICATE];
        cluster.kubectl(&asked).status.success()
    });
    let maker = Maker::new(cluster);
    maker.make(FIRST);
    cluster.must(upgrade.join().unwrap());
    rolled_out(cluster);
    // Those that went wrote their own authority as long as they were there.
    maker.inject();
    await_trust(cluster);
    until_shown(cluster, FIRST);

    let load = loaded(cluster, "certificates");
    for until in FIRST + 1..=LAST {
        maker.make(until);
        until_shown(cluster, until);
    }
    // What does not belong together is not shown.
    let (chain, _) = maker.pair(LAST + 1);
    maker.write(&chain, &KeyPair::generate().unwrap());
    cluster.until("it is refused by all", || {
        let refused = r#"vouchsafe_cert_loads_total{outcome="refused"} "#;
        let values = metrics(cluster, refused);
        values
            .iter()
            .all(|value| value.is_some_and(|value| value > 0))
    });
    until_shown(cluster, LAST);
    load.end(cluster, CALLS, "3 renewals");

    // And back again: the chart's own certificate is still there.
    cluster.must(cluster.helm_chart("upgrade", &[]));
    rolled_out(cluster);
    await_trust(cluster);
    for (_, plural) in KINDS {
        cluster.ok(&["delete", "crd", &format!("{plural}.cert-manager.io")]);
    }
}

fn await_trust(cluster: &Cluster) {
    let image = &cluster.images().signed.by_digest;
    cluster.until("the API server trusts it", || {
        cluster.try_to_run("default", image).status.success()
    });
}

/// Waits until every replica shows the certificate that ends with that year.
fn until_shown(cluster: &Cluster, year: i32) {
    let end = jiff::civil::date(i16::try_from(year).unwrap(), 1, 1);
    let end = end.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
    let end = end.timestamp().as_second();
    cluster.until(&format!("the certificate until {year} is shown"), || {
        let values = metrics(cluster, "vouchsafe_cert_not_after_seconds ");
        values.iter().all(|value| *value == Some(end))
    });
}

/// A metric of each replica; `None` where it has none, or is gone meanwhile.
fn metrics(cluster: &Cluster, name: &str) -> Vec<Option<i64>> {
    let metric = |pod: &String| {
        let pod = pod.trim_start_matches("pod/");
        let path = format!("/api/v1/namespaces/{OURS}/pods/{pod}:9090/proxy/metrics");
        let said = cluster.kubectl(&["get", "--raw", &path]);
        let mut lines = said.stdout.lines();
        lines.find_map(|line| line.strip_prefix(name)?.parse().ok())
    };
    our_pods(cluster).iter().map(metric).collect()
}

/// Definition of a kind of cert-manager's, which takes anything.
fn definition(kind: &str, plural: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.cert-manager.io")},
        "spec": {
            "group": "cert-manager.io",
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced",
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    })
}

/// Who makes certificates: an authority.
struct Maker<'a> {
    cluster: &'a Cluster,
    authority: String,
    issuer: Issuer<'static, KeyPair>,
}

// === impl Maker ===

impl<'a> Maker<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self {
            cluster,
            authority: authority.self_signed(&key).unwrap().pem(),
            issuer: Issuer::new(authority, key),
        }
    }

    /// Makes a certificate that ends with that year, and writes it.
    fn make(&self, until: i32) {
        let (chain, key) = self.pair(until);
        self.write(&chain, &key);
        self.inject();
    }

    /// The certificate that was asked for, in PEM, and its key.
    fn pair(&self, until: i32) -> (String, KeyPair) {
        let asked = self.cluster.get(&["-n", OURS, "certificate", CERTIFICATE]);
        let names = asked["spec"]["dnsNames"].clone();
        let names: Vec<String> = serde_json::from_value(names).unwrap();
        let mut certificate = CertificateParams::new(names).unwrap();
        certificate.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = certificate.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key)
    }

    fn write(&self, chain: &str, key: &KeyPair) {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": CERTIFICATE, "namespace": OURS},
            "data": {
                "ca.crt": STANDARD.encode(&self.authority),
                "tls.crt": STANDARD.encode(chain),
                "tls.key": STANDARD.encode(key.serialize_pem()),
            },
        });
        self.cluster.must(self.cluster.apply(&secret));
    }

    /// Writes the authority wherever it is asked for.
    fn inject(&self) {
        let bundle = STANDARD.encode(&self.authority);
        let patch = json!([
            {"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": bundle},
        ]);
        for (kind, name) in configurations() {
            let wanted = format!("{OURS}/{CERTIFICATE}");
            // Helm writes one object after the other.
            self.cluster.until("the configuration asks for it", || {
                let configuration = self.cluster.get(&[kind, &name]);
                let annotations = &configuration["metadata"]["annotations"];
                annotations["cert-manager.io/inject-ca-from"] == wanted
            });
            self.cluster.ok(&[
                "patch",
                kind,
                &name,
                "--type=json",
                "-p",
                &patch.to_string(),
            ]);
        }
    }
}
