//! A list of manifests that refer to an image: an answer of the referrers API, or the index under the fallback tag.
//!
//! [OCI distribution specification 1.1](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers).
//! *In*: the bytes of an index. *Out*: its entries, each with what it says about itself. An entry that cannot be read is nothing that
//! could be fetched, and is left out; it still counts against the bound.
//!
//! What an entry says only decides what is read first, and what is not read at all because it is said to be something else. The
//! referring manifest decides what it is.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::bundle;
use super::manifest::{
    BUNDLE_CONTENT, BUNDLE_PREDICATE_TYPE, Claims, MESSAGE_SIGNATURE, MalformedManifest,
};
use crate::image::Digest;
use crate::image::media_type::MANIFESTS;
use crate::limits::json::{brief, parse_small};

/// Nesting of an index. Real ones need four levels.
const DEPTH: usize = 32;
/// Values in an index. Real ones need ten for each entry.
const VALUES: usize = 100_000;

/// The artifact type of a simple-signing manifest that refers to its image, as cosign 2 writes it on request.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

/// Artifact types that say nothing: what stands there when the referring manifest names none of its own and its config's media type
/// is taken, and those of signed statements in general.
const UNTELLING: [&str; 7] = [
    "",
    "application/vnd.oci.empty.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.in-toto+json",
    "application/vnd.dsse.envelope.v1+json",
    "application/vnd.dev.cosign.artifact.att.v1+json",
];

/// The entries of one index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrers {
    /// Those that name a manifest.
    pub entries: Vec<Referrer>,
    /// How many entries the index has, readable or not.
    pub count: usize,
}

/// A manifest that refers to an image, as an index describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes, as claimed.
    pub size: u64,
    /// What kind of document it is said to be.
    pub kind: ReferrerKind,
    /// What a bundle is said to carry.
    pub claims: Claims,
}

/// What an artifact type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferrerKind {
    /// A sigstore bundle.
    Bundle,
    /// A simple-signing manifest.
    SimpleSigning,
    /// Nothing that tells.
    Unsaid,
    /// Some other document: a bill of materials, a signature of another kind.
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    media_type: String,
    digest: String,
    size: u64,
    artifact_type: Option<String>,
    #[serde(default)]
    annotations: Option<Map<String, Value>>,
}

impl Referrers {
    /// Reads an index.
    ///
    /// # Errors
    /// Not JSON, duplicate keys, or not an index: a document that could be read as a manifest too (CVE-2021-41190, T-50) is none.
    pub fn parse(index: &[u8]) -> Result<Self, MalformedManifest> {
        let malformed = |detail: String| MalformedManifest { detail };
        let document = parse_small(index, DEPTH, VALUES).map_err(|e| malformed(brief(&e)))?;
        let Value::Object(mut document) = document else {
            return Err(malformed("not an index".to_owned()));
        };
        if document.contains_key("layers") {
            return Err(malformed("an index that has layers".to_owned()));
        }
        let listed = match document.remove("manifests") {
            Some(Value::Array(listed)) => listed,
            // Go writes an empty list as null.
            Some(Value::Null) => Vec::new(),
            _ => return Err(malformed("not an index: it has no manifests".to_owned())),
        };
        Ok(Self {
            count: listed.len(),
            entries: listed.into_iter().filter_map(Referrer::read).collect(),
        })
    }
}

// === impl Referrer ===

impl Referrer {
    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        const FIXED: usize = 256;
        let text = self.claims.predicate_type.as_ref();
        text.map_or(FIXED, |text| FIXED.saturating_add(text.len()))
    }

    fn read(entry: Value) -> Option<Self> {
        let wire: Wire = serde_json::from_value(entry).ok()?;
        if !MANIFESTS.contains(&wire.media_type.as_str()) {
            return None;
        }
        let annotations = wire.annotations.unwrap_or_default();
        let said = |name: &str| annotations.get(name).and_then(Value::as_str);
        let kind = ReferrerKind::of(wire.artifact_type.as_deref().unwrap_or_default());
        let claims = match kind {
            ReferrerKind::Bundle => Claims {
                predicate_type: said(BUNDLE_PREDICATE_TYPE)
                    .filter(|claimed| !claimed.is_empty())
                    .map(str::to_owned),
                message: said(BUNDLE_CONTENT) == Some(MESSAGE_SIGNATURE),
            },
            _ => Claims::default(),
        };
        Some(Self {
            digest: wire.digest.parse().ok()?,
            size: wire.size,
            kind,
            claims,
        })
    }
}

// === impl ReferrerKind ===

impl ReferrerKind {
    fn of(artifact_type: &str) -> Self {
        match artifact_type {
            SIMPLE_SIGNING => Self::SimpleSigning,
            bundle if bundle::is_bundle(bundle) => Self::Bundle,
            untelling if UNTELLING.contains(&untelling) => Self::Unsaid,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(artifact_type: &str) -> Value {
        json!({
            "mediaType": MANIFESTS[0],
            "digest": Digest::sha256_of(b"x"),
            "size": 1,
            "artifactType": artifact_type,
        })
    }

    fn parse(manifests: &Value) -> Result<Referrers, MalformedManifest> {
        Referrers::parse(
            json!({"schemaVersion": 2, "manifests": manifests})
                .to_string()
                .as_bytes(),
        )
    }

    #[test]
    fn an_artifact_type_says_what_to_read_first() {
        for (artifact_type, kind) in [
            (bundle::ARTIFACT_TYPE, ReferrerKind::Bundle),
            (
                "application/vnd.dev.sigstore.bundle+json;version=0.1",
                ReferrerKind::Bundle,
            ),
            (SIMPLE_SIGNING, ReferrerKind::SimpleSigning),
            ("", ReferrerKind::Unsaid),
            ("application/vnd.oci.empty.v1+json", ReferrerKind::Unsaid),
            ("application/spdx+json", ReferrerKind::Other),
        ] {
            let found = parse(&json!([entry(artifact_type)])).unwrap();
            assert_eq!(found.entries[0].kind, kind, "{artifact_type}");
        }
    }

    #[test]
    fn entries_that_name_no_manifest_are_left_out_and_counted() {
        let mut no_digest = entry("");
        no_digest["digest"] = json!("sha256:no");
        let mut index = entry("");
        index["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
        let found = parse(&json!([no_digest, index, 7, null, entry("")])).unwrap();
        assert_eq!((found.count, found.entries.len()), (5, 1));
    }

    #[test]
    fn what_is_no_index_or_could_be_a_manifest_too_is_refused() {
        for document in [
            "[]",
            "{}",
            r#"{"manifests":{}}"#,
            r#"{"manifests":[],"layers":[]}"#,
            r#"{"manifests":[],"manifests":[]}"#,
        ] {
            assert!(Referrers::parse(document.as_bytes()).is_err(), "{document}");
        }
        assert!(Referrers::parse(br#"{"manifests":null}"#).is_ok());
    }

    #[test]
    fn what_a_bundle_is_said_to_carry_is_taken_from_its_annotations() {
        let mut said = entry(bundle::ARTIFACT_TYPE);
        said["annotations"] = json!({BUNDLE_PREDICATE_TYPE: "https://x/v1", BUNDLE_CONTENT: "dsse-envelope", "odd": 7});
        let found = parse(&json!([said])).unwrap();
        assert_eq!(
            found.entries[0].claims.predicate_type.as_deref(),
            Some("https://x/v1")
        );
    }
}
