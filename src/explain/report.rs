//! A verdict for machines: `vouchsafe verify -o json`, schema `vouchsafe.verify/v1`.
//!
//! Within v1 fields are only added. Every field is always there; what does not apply is `null` or an empty list.
//! The schema is published as `docs/verify.schema.json`.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};

use super::printable::line;
use super::words::{self, Wording};
use crate::verdict::{
    AuthorityVerdict, EvidenceSummary, ImageVerdict, Judgement, Mode, Outcome, PolicyVerdict,
    Reason, ReviewVerdict,
};
use crate::verify::Signer;

/// The value of `schema`.
pub const SCHEMA: &str = "vouchsafe.verify/v1";

/// One text that somebody else chose, in bytes.
const TEXT: usize = 1 << 10;
/// Messages of one predicate policy.
const MESSAGES: usize = 64;

/// Everything that one run of `vouchsafe verify` decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifyReport {
    /// `vouchsafe.verify/v1`.
    #[schemars(extend("const" = "vouchsafe.verify/v1"))]
    pub schema: String,
    /// The answer: the gravest of all images.
    pub verdict: Judgement,
    /// Each image, once for each field that names it.
    pub images: Vec<ImageReport>,
    /// What is not in the way, and worth knowing.
    pub warnings: Vec<String>,
}

/// One image in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageReport {
    /// Where it stands, such as `spec.containers[0].image`; `null` for an image named on the command line.
    pub field: Option<String>,
    /// As it is written there.
    pub image: String,
    /// The same in its full form, such as `docker.io/library/nginx:latest`; `null` when it cannot be read.
    pub reference: Option<String>,
    /// The digest that was judged; `null` when there was none to judge.
    pub digest: Option<String>,
    /// The answer.
    pub verdict: Judgement,
    /// Why.
    pub reason: Reason,
    /// What each matching policy says, sorted by name.
    pub policies: Vec<PolicyReport>,
}

/// What one policy says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyReport {
    /// Its name.
    pub name: String,
    /// Whether it denies or warns.
    pub mode: Mode,
    /// Whether it holds.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// The same for people, in one line.
    pub message: String,
    /// What each authority says, in the order in which the policy names them.
    pub authorities: Vec<AuthorityReport>,
}

/// What one authority says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityReport {
    /// Its name.
    pub name: String,
    /// Whether it is satisfied.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// The same for people, in one line.
    pub message: String,
    /// Who vouched, each once.
    pub signers: Vec<SignerReport>,
    /// What satisfied it.
    pub evidence: Vec<EvidenceReport>,
    /// What its predicate policies answered; `null` when it has none or they were not asked.
    pub rego: Option<RegoReport>,
}

/// Who vouched: an identity, or a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignerReport {
    /// Who vouches for the identity; `null` for a key.
    pub issuer: Option<String>,
    /// The identity; `null` for a key.
    pub subject: Option<String>,
    /// SHA-256 of the key's `SubjectPublicKeyInfo` in lower-case hexadecimal; `null` for an identity.
    #[serde(rename = "keySha256")]
    pub key_sha256: Option<String>,
}

/// One piece of verified evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceReport {
    /// How it was found.
    pub format: String,
    /// Its digest.
    pub digest: String,
    /// The predicate type; `null` for a signature.
    pub predicate_type: Option<String>,
    /// When it was made, as an authenticated source says (RFC 3339); `null` when none does.
    pub time: Option<String>,
}

/// What predicate policies answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegoReport {
    /// Whether they were satisfied.
    pub result: bool,
    /// What they said.
    pub messages: Vec<String>,
}

/// The report of a verdict.
pub fn report(verdict: &ReviewVerdict, warnings: Vec<String>) -> VerifyReport {
    let images = verdict.images.iter().flat_map(image).collect();
    VerifyReport {
        schema: SCHEMA.to_owned(),
        verdict: verdict.judgement,
        images,
        warnings,
    }
}

/// The JSON Schema (draft 2020-12) of a report, with the words of this documentation.
pub fn report_schema() -> serde_json::Value {
    // As it is written, not as it is read: every field is required.
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<VerifyReport>()
        .to_value()
}

/// An image, once for each of its fields.
fn image(image: &ImageVerdict) -> Vec<ImageReport> {
    let at = |field: Option<String>| ImageReport {
        field,
        image: image.written.clone(),
        reference: image.reference.as_ref().map(ToString::to_string),
        digest: image.digest.as_ref().map(ToString::to_string),
        verdict: image.judgement,
        reason: image.reason,
        policies: image.policies.iter().map(policy).collect(),
    };
    match image.fields.as_slice() {
        [] => vec![at(None)],
        fields => fields
            .iter()
            .map(|field| at(Some(field.as_str().to_owned())))
            .collect(),
    }
}

fn policy(policy: &PolicyVerdict) -> PolicyReport {
    PolicyReport {
        name: policy.name.to_string(),
        mode: policy.mode,
        outcome: policy.outcome,
        reason: policy.reason,
        message: words::policy(policy, Wording::of(policy.outcome)),
        authorities: policy.authorities.iter().map(authority).collect(),
    }
}

fn authority(authority: &AuthorityVerdict) -> AuthorityReport {
    let mut signers: Vec<SignerReport> = Vec::new();
    for signer in authority
        .evidence
        .iter()
        .map(|evidence| signer(&evidence.signer))
    {
        if !signers.contains(&signer) {
            signers.push(signer);
        }
    }
    AuthorityReport {
        name: authority.name.to_string(),
        outcome: authority.outcome,
        reason: authority.reason,
        message: words::authority(authority, Wording::of(authority.outcome)),
        signers,
        evidence: authority.evidence.iter().map(evidence).collect(),
        rego: authority.rego.as_ref().map(|rego| RegoReport {
            result: rego.passed,
            messages: rego
                .messages
                .iter()
                .take(MESSAGES)
                .map(|message| line(message, TEXT))
                .collect(),
        }),
    }
}

fn signer(signer: &Signer) -> SignerReport {
    match signer {
        Signer::Key(key) => SignerReport {
            issuer: None,
            subject: None,
            key_sha256: Some(key.to_string()),
        },
        Signer::Identity(holder) => SignerReport {
            issuer: holder.issuer.as_deref().map(|issuer| line(issuer, TEXT)),
            subject: Some(line(holder.subject(), TEXT)),
            key_sha256: None,
        },
    }
}

fn evidence(evidence: &EvidenceSummary) -> EvidenceReport {
    EvidenceReport {
        format: evidence.format.as_str().to_owned(),
        digest: evidence.digest.to_string(),
        predicate_type: evidence
            .predicate_type
            .as_ref()
            .map(|predicate_type| line(predicate_type, TEXT)),
        time: evidence.time.map(|time| time.to_string()),
    }
}
