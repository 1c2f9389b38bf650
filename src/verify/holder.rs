//! What a certificate says about its holder: subjects, issuer, and the build that it was issued to.
//!
//! *In*: the leaf certificate of a signature, in DER. *Out*: a [`Holder`]. These are claims of the certificate: they mean something
//! only once the certificate was verified.
//!
//! Subjects are those of the subject alternative name (RFC 5280 §4.2.1.6): e-mail addresses, URIs, DNS names, and the user name that
//! Fulcio puts into an `otherName`. The issuer and the rest are
//! [Fulcio's extensions](https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md).

use sigstore_crypto::{CertificateInfo, DeprecatedGitHubClaims, parse_certificate_info};
use sigstore_types::DerCertificate;
use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};

use x509_cert::Certificate;
use x509_cert::der::{Any, Decode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::limits::json::brief;

/// The `otherName` in which Fulcio writes the name of a user who has neither e-mail address nor URI.
const FULCIO_USER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// The most subjects that are read. Fulcio writes one.
const SUBJECTS: usize = 64;

/// Who holds the key of a certificate, as the certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its subjects, in the order in which policy-controller lists them: DNS names, e-mail addresses, URIs, the user name.
    pub subjects: Vec<Subject>,
    /// Who vouched for the subject before the certificate authority.
    pub issuer: Option<String>,
    /// The GitHub workflow that it was issued to, as far as it says so.
    pub github: GithubWorkflow,
}

/// A subject, by its type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// `dNSName`.
    Dns(String),
    /// `rfc822Name`.
    Email(String),
    /// `uniformResourceIdentifier`.
    Uri(String),
    /// Fulcio's user name.
    UserName(String),
}

/// The GitHub workflow that signed, as the members of policies call its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GithubWorkflow {
    /// The event that triggered it.
    pub trigger: Option<String>,
    /// The commit that it ran on.
    pub sha: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its repository, as `owner/name`.
    pub repository: Option<String>,
    /// The ref that it ran on.
    pub reference: Option<String>,
}

impl Holder {
    /// Reads a certificate.
    ///
    /// # Errors
    /// In words, why it cannot be read.
    pub(super) fn of(certificate: &DerCertificate) -> Result<Self, String> {
        let info = parse_certificate_info(certificate).map_err(|e| brief(&e))?;
        let parsed = Certificate::from_der(certificate.as_bytes()).map_err(|e| brief(&e))?;
        let CertificateInfo {
            issuer, ci_claims, ..
        } = info;
        Ok(Self {
            subjects: subjects(&parsed)?,
            issuer,
            github: GithubWorkflow::of(ci_claims.deprecated_github),
        })
    }

    /// The first subject, which policies see; empty where the certificate has none.
    pub fn subject(&self) -> &str {
        self.subjects.first().map_or("", Subject::as_str)
    }

    /// All subjects, in one line.
    pub fn subjects(&self) -> String {
        let subjects: Vec<&str> = self.subjects.iter().map(Subject::as_str).collect();
        subjects.join(" ")
    }

    /// The issuer; empty where the certificate names none.
    pub fn issuer(&self) -> &str {
        self.issuer.as_deref().unwrap_or_default()
    }
}

fn subjects(certificate: &Certificate) -> Result<Vec<Subject>, String> {
    let names = certificate.tbs_certificate.get::<SubjectAltName>();
    let Some((_, names)) = names.map_err(|e| brief(&e))? else {
        return Ok(Vec::new());
    };
    if names.0.len() > SUBJECTS {
        return Err(format!(
            "it names {} subjects, {SUBJECTS} are read",
            names.0.len()
        ));
    }
    let mut subjects: Vec<Subject> = names.0.iter().filter_map(subject).collect();
    // By type, and within one type as they are written.
    subjects.sort_by_key(Subject::rank);
    Ok(subjects)
}

fn subject(name: &GeneralName) -> Option<Subject> {
    match name {
        GeneralName::DnsName(name) => Some(Subject::Dns(name.to_string())),
        GeneralName::Rfc822Name(address) => Some(Subject::Email(address.to_string())),
        GeneralName::UniformResourceIdentifier(uri) => Some(Subject::Uri(uri.to_string())),
        GeneralName::OtherName(other) if other.type_id == FULCIO_USER_NAME => {
            user_name(&other.value).map(Subject::UserName)
        }
        _ => None,
    }
}

fn user_name(value: &Any) -> Option<String> {
    value
        .decode_as::<Utf8StringRef<'_>>()
        .ok()
        .map(|name| name.as_str().to_owned())
}

// === impl Subject ===

impl Subject {
    /// The text that identities are compared with.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Dns(text) | Self::Email(text) | Self::Uri(text) | Self::UserName(text) => text,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Dns(_) => 0,
            Self::Email(_) => 1,
            Self::Uri(_) => 2,
            Self::UserName(_) => 3,
        }
    }
}

// === impl GithubWorkflow ===

impl GithubWorkflow {
    fn of(claims: DeprecatedGitHubClaims) -> Self {
        Self {
            trigger: claims.workflow_trigger,
            sha: claims.workflow_sha,
            name: claims.workflow_name,
            repository: claims.workflow_repository,
            reference: claims.workflow_ref,
        }
    }
}

#[cfg(test)]
mod tests;
