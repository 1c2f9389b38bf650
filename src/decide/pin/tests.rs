//! What holds for every patch, whatever object it is for.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::decide::TagMode;
use crate::demo::signer::SigningKey;
use crate::explain;
use crate::gather::{
    BlobReference, Credentials, FetchError, FetchedManifest, FetchedReferrers, Gatherer,
    ManifestReference, ReferrersPage, Registry,
};
use crate::image::{Repository, Tag};
use crate::limits::Limits;
use crate::policy::{PolicySet, Referents, compile};
use crate::trust::TrustMaterial;
use crate::verdict::NoMatchPolicy;
use crate::workload::{Kinds, Operation, images};

/// Every tag names a digest made of its repository and itself; `gone` names nothing, and `down` cannot be asked for.
struct Named;

impl Registry for Named {
    fn tag_digest<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
        _: &'a Access,
    ) -> BoxFuture<'a, Result<Option<Digest>, FetchError>> {
        Box::pin(async move {
            match tag.as_str() {
                "gone" => Ok(None),
                "down" => Err(FetchError::Throttled {
                    registry: repository.registry().to_owned(),
                    retry_after: None,
                }),
                tag => Ok(Some(Digest::sha256_of(
                    format!("{repository}:{tag}").as_bytes(),
                ))),
            }
        })
    }

    fn manifest<'a>(
        &'a self,
        _: &'a Repository,
        _: &'a ManifestReference,
        _: &'a Access,
    ) -> BoxFuture<'a, Result<Option<FetchedManifest>, FetchError>> {
        unreachable!("nothing is judged")
    }

    fn blob<'a>(
        &'a self,
        _: &'a Repository,
        _: &'a BlobReference,
        _: usize,
        _: &'a Access,
    ) -> BoxFuture<'a, Result<Option<Bytes>, FetchError>> {
        unreachable!("nothing is judged")
    }

    fn referrers<'a>(
        &'a self,
        _: &'a Repository,
        _: &'a ReferrersPage,
        _: &'a Access,
    ) -> BoxFuture<'a, Result<Option<FetchedReferrers>, FetchError>> {
        unreachable!("nothing is judged")
    }
}

struct Anonymous;

impl Credentials for Anonymous {
    fn keychain<'a>(
        &'a self,
        _: &'a PullScope,
        _: &'a BTreeSet<String>,
    ) -> BoxFuture<'a, Result<Arc<Keychain>, FetchError>> {
        Box::pin(async { Ok(Arc::default()) })
    }

    fn secrets<'a>(
        &'a self,
        _: &'a str,
        _: &'a [String],
    ) -> BoxFuture<'a, Result<Arc<Keychain>, FetchError>> {
        Box::pin(async { Ok(Arc::default()) })
    }
}

fn judge() -> Judge {
    let limits = Limits::default();
    let gatherer = Gatherer::new(Arc::new(Named), &limits);
    Judge::new(gatherer, Arc::new(Anonymous), &limits)
}

/// A policy about everything but `static/**`, and one that lets that pass.
fn snapshot() -> Snapshot {
    let key = SigningKey::generate().unwrap();
    let policy = |name: &str, glob: &str, authority: Value| {
        let written = json!({
            "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": name},
            "spec": {"images": [{"glob": glob}], "authorities": [authority]},
        });
        compile(
            &serde_json::from_value(written).unwrap(),
            &Referents::default(),
        )
    };
    let policies = vec![
        policy(
            "release",
            "registry.example.com/**",
            json!({"key": {"data": key.public_key_pem()}}),
        ),
        policy(
            "fixed",
            "static.example.com/**",
            json!({"static": {"action": "pass"}}),
        ),
    ];
    Snapshot {
        policies: Arc::new(PolicySet::new(policies).unwrap()),
        trust: Arc::new(TrustMaterial::keys_only()),
        no_match: NoMatchPolicy::Deny,
        tags: TagMode::PinAll,
        kinds: Arc::new(Kinds::built_in()),
    }
}

// === any object ===

fn any_image() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        4 => Just("registry.example.com/"),
        1 => Just("static.example.com/"),
        1 => Just(""),
    ];
    let tag = prop_oneof![
        Just(String::new()),
        Just(":v1".to_owned()),
        Just(":v2".to_owned()),
        Just(":gone".to_owned()),
        Just(":down".to_owned()),
    ];
    let digest = prop_oneof![
        3 => Just(String::new()),
        1 => Just(format!("@{}", Digest::sha256_of(b"before"))),
    ];
    let good = (host, "[a-c]", tag, digest).prop_map(|(h, n, t, d)| format!("{h}{n}{t}{d}"));
    prop_oneof![9 => good, 1 => "[ -~]{0,20}"]
}

fn any_container() -> impl Strategy<Value = Value> {
    let name = prop_oneof![Just(None), "[a-c]".prop_map(Some)];
    (name, any_image(), any::<bool>()).prop_map(|(name, image, more)| {
        let mut container = json!({"image": image});
        if let Some(name) = name {
            container["name"] = json!(name);
        }
        if more {
            container["command"] = json!(["registry.example.com/a:v1"]);
        }
        container
    })
}

fn any_pod_spec() -> impl Strategy<Value = Value> {
    let containers = || prop::collection::vec(any_container(), 0..4);
    let volume = any_image().prop_map(|image| json!({"name": "v", "image": {"reference": image}}));
    let volumes = prop::collection::vec(volume, 0..2);
    (containers(), containers(), containers(), volumes).prop_map(|(all, init, ephemeral, volumes)| {
        json!({
            "containers": all, "initContainers": init, "ephemeralContainers": ephemeral, "volumes": volumes,
            "nodeSelector": {"image": "registry.example.com/a:v1"},
        })
    })
}

/// An object, and perhaps what it was before.
fn any_request() -> impl Strategy<Value = Request> {
    let old = prop::option::of(any_pod_spec());
    (any_pod_spec(), old, 0_usize..3).prop_map(|(new, old, kind)| {
        let (group, kind, wrap): (_, _, fn(Value) -> Value) = match kind {
            0 => ("", "Pod", |spec| json!({"spec": spec})),
            1 => (
                "apps",
                "Deployment",
                |spec| json!({"spec": {"template": {"spec": spec}}}),
            ),
            _ => (
                "batch",
                "CronJob",
                |spec| json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}}),
            ),
        };
        let operation = if old.is_some() {
            Operation::Update
        } else {
            Operation::Create
        };
        Request {
            uid: "1".to_owned(),
            operation,
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            subresource: String::new(),
            namespace: "shop".to_owned(),
            name: "app".to_owned(),
            object: wrap(new),
            old_object: old.map(wrap),
            dry_run: false,
        }
    })
}

/// What the API server makes of it.
fn mutated(judge: &Judge, request: &Request, snapshot: &Snapshot) -> (Value, Pinning) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let pinning = runtime.block_on(async {
        let deadline = Instant::now() + Duration::from_secs(10);
        judge.pin(request, snapshot, deadline).await
    });
    let mut object = request.object.clone();
    json_patch::patch(&mut object, &explain::mutation(&pinning).patch).unwrap();
    (object, pinning)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// f(f(x)) = f(x), and nothing but image fields differs, each by the digest alone.
    #[test]
    fn a_patch_changes_images_alone_and_twice_is_once(request in any_request()) {
        let (judge, snapshot) = (judge(), snapshot());
        let kind = snapshot.kinds.find(&request.group, &request.kind).unwrap();
        let (once, pinning) = mutated(&judge, &request, &snapshot);

        let mut restored = once.clone();
        for pin in &pinning.pins {
            let place = restored.pointer_mut(&pin.pointer).unwrap();
            prop_assert_eq!(&*place, &json!(pin.pinned));
            prop_assert!(pin.pinned.starts_with(&pin.written));
            let (before, after): (ImageReference, ImageReference) =
                (pin.written.parse().unwrap(), pin.pinned.parse().unwrap());
            prop_assert_eq!(before.repository(), after.repository());
            prop_assert_eq!(Some(&before.tag_or_latest()), after.tag());
            prop_assert_eq!(Some(&pin.digest), after.digest());
            *place = json!(pin.written);
        }
        prop_assert_eq!(&restored, &request.object);
        let fields: Vec<_> = images(kind, &request.object).unwrap().into_iter().map(|i| i.field).collect();
        prop_assert!(pinning.pins.iter().all(|pin| fields.contains(&pin.field)));

        let again = Request { object: once.clone(), ..request.clone() };
        let (twice, second) = mutated(&judge, &again, &snapshot);
        prop_assert_eq!(&twice, &once);
        prop_assert_eq!(second.pins, Vec::new());
    }

    /// Whatever must be proven is pinned, kept, or left with a reason; nothing else is touched.
    #[test]
    fn every_tag_that_must_be_proven_is_accounted_for(request in any_request()) {
        let (judge, snapshot) = (judge(), snapshot());
        let kind = snapshot.kinds.find(&request.group, &request.kind).unwrap();
        let (_, pinning) = mutated(&judge, &request, &snapshot);
        let told: BTreeSet<&FieldPath> = pinning
            .pins
            .iter()
            .map(|pin| &pin.field)
            .chain(pinning.left.iter().flat_map(|left| &left.fields))
            .collect();
        let unchanged = matches!(covered(kind, &request), Ok(Covered::Admit(_)));
        for image in images(kind, &request.object).unwrap() {
            let reference = image.image.parse::<ImageReference>();
            let wanted = !unchanged
                && image.image.starts_with("registry.example.com/")
                && reference.is_ok_and(|reference| reference.digest().is_none());
            prop_assert_eq!(told.contains(&image.field), wanted, "{}", image.image);
        }
        for left in &pinning.left {
            prop_assert!(left.written.ends_with(":gone") || left.written.ends_with(":down"));
        }
    }

    /// A digest that was there before under the same tag stays, whatever the tag names now.
    #[test]
    fn a_pin_that_was_there_stays(spec in any_pod_spec()) {
        let (judge, snapshot) = (judge(), snapshot());
        let create = Request { object: json!({"spec": spec}), ..create() };
        let (pinned, first) = mutated(&judge, &create, &snapshot);
        // Old pins, at a digest that no tag names any more.
        let mut old = pinned.clone();
        let before = Digest::sha256_of(b"what the tag named then");
        for pin in &first.pins {
            let reference: ImageReference = pin.written.parse().unwrap();
            *old.pointer_mut(&pin.pointer).unwrap() = json!(reference.pinned_spelling(&before));
        }
        let update = Request { operation: Operation::Update, old_object: Some(old.clone()), ..create };
        let kinds = Kinds::built_in();
        let kind = kinds.find("", "Pod").unwrap();
        let sticky = Sticky::of(kind, Some(&old));
        let uses = images(kind, &update.object).unwrap();
        let (_, second) = mutated(&judge, &update, &snapshot);
        for pin in &second.pins {
            let at = uses.iter().find(|image| image.pointer == pin.pointer).unwrap();
            if sticky.before(at).is_some() {
                prop_assert_eq!(&pin.digest, &before);
                prop_assert!(pin.kept);
            }
        }
    }
}

fn create() -> Request {
    Request {
        uid: "1".to_owned(),
        operation: Operation::Create,
        group: String::new(),
        version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        subresource: String::new(),
        namespace: "shop".to_owned(),
        name: "app".to_owned(),
        object: Value::Null,
        old_object: None,
        dry_run: false,
    }
}
