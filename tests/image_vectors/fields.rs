//! One good signature of 2022, and every field that vouches for it changed, one at a time: in the policy, in the trusted root, in what
//! stands beside the signature, in the certificate, in the log's entry, in what was signed.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vouchsafe::demo::registry::{Registry, Store};
use vouchsafe::limits::pem;
use x509_cert::Certificate;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::pem::LineEnding;
use x509_cert::der::{Decode as _, EncodePem as _};

use crate::support::webhook::{Answered, Webhook};
use crate::{Vectors, json_file};

const CASE: &str = "seed-004/s3c-demo-keyless";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const ENTRY: &str = "dev.sigstore.cosign/bundle";

/// Everything that the verdict is made of.
#[derive(Clone)]
struct Scene {
    repository: String,
    digest: String,
    spec: Value,
    root: Value,
    annotations: Value,
    payload: Vec<u8>,
}

/// What is changed, and how.
type Row = (&'static str, fn(&mut Scene));

const POLICY: &[Row] = &[
    ("another issuer", |s| {
        s.identity()["issuer"] = json!("https://accounts.google.com");
    }),
    ("the issuer without its scheme", |s| {
        s.identity()["issuer"] = json!("token.actions.githubusercontent.com");
    }),
    ("the issuer with a slash more", |s| {
        s.identity()["issuer"] = json!("https://token.actions.githubusercontent.com/");
    }),
    ("another branch in the subject", |s| {
        s.subject("refs/heads/main", "refs/heads/develop");
    }),
    ("another workflow in the subject", |s| {
        s.subject("build.yml", "release.yml");
    }),
    ("another repository in the subject", |s| {
        s.subject("S3C-demo", "S3C-demo-fork");
    }),
    ("another owner in the subject", |s| {
        s.subject("MattiasGees", "mattiasgees");
    }),
    ("a part of the subject", |s| {
        s.subject("/.github/workflows/build.yml@refs/heads/main", "");
    }),
    ("a pattern of another issuer", |s| {
        s.pattern("issuer", "^https://accounts[.]google[.]com$");
    }),
    ("a pattern of another subject", |s| {
        s.pattern("subject", "^https://github[.]com/another/");
    }),
    ("no identity", |s| {
        s.authority()["keyless"]["identities"] = json!([]);
    }),
    ("a key in place of the identity", |s| {
        let key = include_str!("../data/recorded/cosign-3.1/keys/release.pub");
        *s.authority() = json!({"name": "page", "key": {"data": key}});
    }),
    ("another certificate authority", |s| {
        let keyless = s.authority()["keyless"].as_object_mut().unwrap();
        keyless.remove("url");
        keyless.insert(
            "ca-cert".to_owned(),
            json!({"data": include_str!("../data/recorded/cosign-3.1/keys/release.pub")}),
        );
    }),
    ("a trust root that is not there", |s| {
        s.authority()["keyless"]["trustRootRef"] = json!("elsewhere");
    }),
    ("a log of a trust root that is not there", |s| {
        s.authority()["ctlog"] = json!({"trustRootRef": "elsewhere"});
    }),
    ("a timestamp", |s| {
        s.authority()["rfc3161timestamp"] = json!({});
    }),
    ("an attestation", |s| {
        s.authority()["attestations"] =
            json!([{"name": "a", "predicateType": "https://slsa.dev/provenance/v1"}]);
    }),
    ("bundles alone", |s| {
        s.authority()["signatureFormat"] = json!("bundle");
    }),
    ("another place of signatures", |s| {
        // Nobody listens there, and no signature is there.
        s.authority()["source"] = json!([{"oci": "127.0.0.1:1/elsewhere"}]);
    }),
    ("another prefix of tags", |s| {
        s.authority()["source"] = json!([{"tagPrefix": "other"}]);
    }),
    ("an authority that refuses all", |s| {
        *s.authority() = json!({"name": "page", "static": {"action": "fail"}});
    }),
    ("other images", |s| {
        s.spec["images"] = json!([{"glob": "registry.example.com/**"}]);
    }),
];

const ROOT: &[Row] = &[
    ("no certificate authority", |s| {
        s.root["certificateAuthorities"] = json!([]);
    }),
    ("a certificate authority that ended before", |s| {
        s.ended("certificateAuthorities", "");
    }),
    ("no log of certificates", |s| s.root["ctlogs"] = json!([])),
    ("a log of certificates that ended before", |s| {
        s.ended("ctlogs", "/publicKey");
    }),
    ("no transparency log", |s| s.root["tlogs"] = json!([])),
    ("a transparency log that ended before", |s| {
        s.ended("tlogs", "/publicKey");
    }),
    ("another key of the transparency log", |s| {
        let other = s.root["ctlogs"][0]["publicKey"]["rawBytes"].clone();
        for log in s.root["tlogs"].as_array_mut().unwrap() {
            log["publicKey"]["rawBytes"] = other.clone();
        }
    }),
];

const BESIDE: &[Row] = &[
    ("no signature", |s| {
        drop(s.annotations.as_object_mut().unwrap().remove(SIGNATURE));
    }),
    ("another signature", |s| {
        s.base64(SIGNATURE, |bytes| flip(bytes, 40));
    }),
    ("no certificate", |s| {
        drop(s.annotations.as_object_mut().unwrap().remove(CERTIFICATE));
    }),
    ("no log entry", |s| {
        drop(s.annotations.as_object_mut().unwrap().remove(ENTRY));
    }),
    ("another promise of the log", |s| {
        s.entry(|entry| {
            entry["SignedEntryTimestamp"] =
                changed(&entry["SignedEntryTimestamp"], |bytes| flip(bytes, 40));
        });
    }),
    ("another time of the entry", |s| {
        s.entry(|entry| {
            entry["Payload"]["integratedTime"] =
                json!(entry["Payload"]["integratedTime"].as_i64().unwrap() + 1);
        });
    }),
    ("another index of the entry", |s| {
        s.entry(|entry| {
            entry["Payload"]["logIndex"] =
                json!(entry["Payload"]["logIndex"].as_i64().unwrap() + 1);
        });
    }),
    ("another name of the log", |s| {
        s.entry(|entry| entry["Payload"]["logID"] = json!("00".repeat(32)));
    }),
    ("the hash of something else in the entry", |s| {
        s.body(|body| {
            body["spec"]["data"]["hash"]["value"] = json!("00".repeat(32));
        });
    }),
    ("another signature in the entry", |s| {
        s.body(|body| {
            let signature = &mut body["spec"]["signature"]["content"];
            *signature = changed(signature, |bytes| flip(bytes, 40));
        });
    }),
    ("another certificate in the entry", |s| {
        s.body(|body| {
            let key = &mut body["spec"]["signature"]["publicKey"]["content"];
            *key = changed(key, |bytes| flip(bytes, 400));
        });
    }),
    ("another kind of entry", |s| {
        s.body(|body| body["kind"] = json!("rekord"));
    }),
];

const IN_THE_CERTIFICATE: &[Row] = &[
    ("its serial number", |s| {
        s.certificate(|c| {
            c.tbs_certificate.serial_number =
                x509_cert::serial_number::SerialNumber::new(&[7]).unwrap();
        });
    }),
    ("its issuer", |s| {
        s.certificate(|c| c.tbs_certificate.issuer = "CN=fulcio".parse().unwrap());
    }),
    ("its dates", |s| {
        s.certificate(|c| {
            c.tbs_certificate.validity.not_after = x509_cert::time::Time::INFINITY;
        });
    }),
    ("its key", |s| {
        s.certificate(|c| {
            let mut bits = c
                .tbs_certificate
                .subject_public_key_info
                .subject_public_key
                .raw_bytes()
                .to_vec();
            flip(&mut bits, 20);
            c.tbs_certificate.subject_public_key_info.subject_public_key =
                x509_cert::der::asn1::BitString::from_bytes(&bits).unwrap();
        });
    }),
    ("its subject", |s| s.extension("2.5.29.17")),
    ("its purposes", |s| s.extension("2.5.29.37")),
    ("the issuer of the identity", |s| {
        s.extension("1.3.6.1.4.1.57264.1.1");
    }),
    ("its signed certificate timestamp", |s| {
        s.extension("1.3.6.1.4.1.11129.2.4.2");
    }),
    ("the signature of its authority", |s| {
        s.certificate(|c| {
            let mut bits = c.signature.raw_bytes().to_vec();
            flip(&mut bits, 20);
            c.signature = x509_cert::der::asn1::BitString::from_bytes(&bits).unwrap();
        });
    }),
];

const SIGNED: &[Row] = &[
    ("another image", |s| {
        s.digest = format!("sha256:{}", "ab".repeat(32));
    }),
    ("another digest in the payload", |s| {
        s.payload("d2d824e2", "00000000");
    }),
    ("another type of payload", |s| {
        s.payload("cosign container image signature", "another signature");
    }),
    ("another repository in the payload", |s| {
        s.payload("mattiasgees", "another");
    }),
    ("a space in the payload", |s| s.payload.push(b' ')),
];

fn flip(bytes: &mut [u8], at: usize) {
    bytes[at] ^= 1;
}

/// A text in base64, with its bytes changed.
fn changed(text: &Value, change: impl FnOnce(&mut Vec<u8>)) -> Value {
    let mut bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
    change(&mut bytes);
    json!(STANDARD.encode(bytes))
}

// === impl Scene ===

impl Scene {
    /// The case as it is, under the policy of the page that it is from.
    fn of(vectors: &Vectors) -> Self {
        let case = vectors.case(CASE);
        let file = |name: &str| vectors.folder.join(case["files"][name].as_str().unwrap());
        let manifest = json_file(&file("sig_manifest"));
        Self {
            repository: case["registry"]["repo"].as_str().unwrap().to_owned(),
            digest: case["digest"].as_str().unwrap().to_owned(),
            spec: json!({
                "images": [{"glob": "**"}],
                "authorities": [{"name": "page", "keyless": {
                    "url": "https://fulcio.sigstore.dev",
                    "identities": [{"issuer": case["issuer"], "subject": case["identity"]}],
                }}],
            }),
            root: json_file(&vectors.folder.join(case["trusted_root"].as_str().unwrap())),
            annotations: manifest["layers"][0]["annotations"].clone(),
            payload: std::fs::read(file("payload")).unwrap(),
        }
    }

    fn authority(&mut self) -> &mut Value {
        &mut self.spec["authorities"][0]
    }

    fn identity(&mut self) -> &mut Value {
        &mut self.authority()["keyless"]["identities"][0]
    }

    fn subject(&mut self, part: &str, other: &str) {
        let subject = &mut self.identity()["subject"];
        let text = subject.as_str().unwrap();
        assert!(text.contains(part));
        *subject = json!(text.replace(part, other));
    }

    fn pattern(&mut self, side: &str, pattern: &str) {
        let identity = self.identity().as_object_mut().unwrap();
        identity.remove(side);
        identity.insert(format!("{side}RegExp"), json!(pattern));
    }

    fn ended(&mut self, list: &str, at: &str) {
        for entry in self.root[list].as_array_mut().unwrap() {
            let entry = entry.pointer_mut(at).unwrap();
            entry["validFor"] =
                json!({"start": "2019-01-01T00:00:00Z", "end": "2020-01-01T00:00:00Z"});
        }
    }

    fn base64(&mut self, annotation: &str, change: impl FnOnce(&mut Vec<u8>)) {
        self.annotations[annotation] = changed(&self.annotations[annotation], change);
    }

    fn entry(&mut self, change: impl FnOnce(&mut Value)) {
        let mut entry: Value =
            serde_json::from_str(self.annotations[ENTRY].as_str().unwrap()).unwrap();
        change(&mut entry);
        self.annotations[ENTRY] = json!(entry.to_string());
    }

    fn body(&mut self, change: impl FnOnce(&mut Value)) {
        self.entry(|entry| {
            entry["Payload"]["body"] = changed(&entry["Payload"]["body"], |bytes| {
                let mut body: Value = serde_json::from_slice(bytes).unwrap();
                change(&mut body);
                *bytes = body.to_string().into_bytes();
            });
        });
    }

    fn certificate(&mut self, change: impl FnOnce(&mut Certificate)) {
        let text = self.annotations[CERTIFICATE].as_str().unwrap();
        let blocks = pem::certificates(text.as_bytes(), 1).unwrap();
        let mut certificate = Certificate::from_der(&blocks[0]).unwrap();
        change(&mut certificate);
        self.annotations[CERTIFICATE] = json!(certificate.to_pem(LineEnding::LF).unwrap());
    }

    /// Changes the last byte of an extension.
    fn extension(&mut self, oid: &str) {
        let oid: ObjectIdentifier = oid.parse().unwrap();
        self.certificate(|certificate| {
            let extensions = certificate.tbs_certificate.extensions.as_mut().unwrap();
            let extension = extensions
                .iter_mut()
                .find(|found| found.extn_id == oid)
                .unwrap();
            let mut bytes = extension.extn_value.as_bytes().to_vec();
            let last = bytes.len() - 1;
            flip(&mut bytes, last);
            extension.extn_value = x509_cert::der::asn1::OctetString::new(bytes).unwrap();
        });
    }

    fn payload(&mut self, part: &str, other: &str) {
        let text = std::str::from_utf8(&self.payload).unwrap();
        assert!(text.contains(part), "{text}");
        self.payload = text.replace(part, other).into_bytes();
    }

    /// What the webhook says, from a registry that serves it.
    async fn judged(&self) -> Answered {
        let store = Store::new();
        let config = store.push_blob(&self.repository, b"{}".to_vec());
        let layer = store.push_blob(&self.repository, self.payload.clone());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.to_string(), "size": 2},
            "layers": [{
                "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
                "digest": layer.to_string(), "size": self.payload.len(), "annotations": self.annotations,
            }],
        });
        let tag = format!("{}.sig", self.digest.replace(':', "-"));
        let media_type = manifest["mediaType"].as_str().unwrap();
        store.push_manifest(
            &self.repository,
            Some(&tag),
            media_type,
            manifest.to_string().into_bytes(),
        );
        let registry = Registry::bind(store, "127.0.0.1:0").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("trusted_root.json");
        std::fs::write(&root, self.root.to_string()).unwrap();
        let policy = json!({
            "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy",
            "metadata": {"name": "page"}, "spec": self.spec,
        });
        let webhook = Webhook::start_with(&policy.to_string(), |settings| {
            settings.judge.trust.trusted_root = Some(root);
        })
        .await;
        let image = format!("{}/{}@{}", registry.host(), self.repository, self.digest);
        webhook.judge(&image).await
    }
}

#[tokio::test]
async fn an_old_signature_is_refused_with_any_one_field_changed() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    let good = Scene::of(&vectors);
    good.judged().await.admitted("satisfied");
    let mut table = String::new();
    let mut count = 0;
    for (what, rows) in [
        ("policy", POLICY),
        ("trusted root", ROOT),
        ("beside the signature", BESIDE),
        ("in the certificate", IN_THE_CERTIFICATE),
        ("signed", SIGNED),
    ] {
        for (name, change) in rows {
            let mut scene = good.clone();
            change(&mut scene);
            let answered = scene.judged().await;
            assert!(!answered.allowed, "{what}: {name}: admitted");
            writeln!(table, "{what}: {name}: {}", answered.reason()).unwrap();
            count += 1;
        }
    }
    print!("{table}");
    assert!(count > 30, "{count} fields");
    insta::assert_snapshot!(table);
}
