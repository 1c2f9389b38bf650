//! What is wrong with a `TrustRoot`: the rules of policy-controller's webhook, each asked of every element of every list.

use serde_json::{Map, Value};
use spki::der::asn1::{AnyRef, ObjectIdentifier};
use spki::der::{Decode, Document, Reader, SliceReader, Tag, TagNumber, Tagged};

use crate::api;
use crate::policy::Problem;
use crate::trust::sigstore_keys::{self, UnusableField};

/// `id-ce-basicConstraints`, RFC 5280 §4.2.1.9.
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");

/// RFC 1952 §2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The most PEM blocks of one chain that are looked at.
const CERTIFICATES: usize = 32;

/// Everything that is wrong with it.
pub(super) fn check(spec: &api::TrustRootSpec) -> Vec<Problem> {
    let shapes = || ["remote", "repository", "sigstoreKeys"].map(|shape| format!("spec.{shape}"));
    match (&spec.remote, &spec.repository, &spec.sigstore_keys) {
        (None, None, None) => vec![Problem::neither(shapes())],
        (Some(remote), None, None) => check_remote(remote),
        (None, Some(repository), None) => check_repository(repository),
        (None, None, Some(keys)) => check_keys(keys),
        _ => vec![Problem::both(shapes())],
    }
}

fn check_remote(remote: &api::RemoteRoot) -> Vec<Problem> {
    let mut problems = check_root(&remote.root, "spec.remote.root");
    if remote.mirror.is_empty() {
        problems.push(Problem::missing("spec.remote.mirror"));
    }
    problems
}

/// `targets` is not asked for: it has a default.
fn check_repository(repository: &api::RepositoryRoot) -> Vec<Problem> {
    let mut problems = check_root(&repository.root, "spec.repository.root");
    if repository.mirror_fs.is_empty() {
        problems.push(Problem::missing("spec.repository.mirrorFS"));
    } else if !repository.mirror_fs.0.starts_with(&GZIP) {
        problems.push(Problem::invalid(
            "failed to construct a TUF client",
            "spec.repository.mirrorFS",
            "gzip: invalid header",
        ));
    }
    problems
}

/// The root of a TUF repository: JSON with signatures. Whether they are good is decided where the root is used.
fn check_root(root: &api::Base64Bytes, field: &str) -> Vec<Problem> {
    if root.is_empty() {
        return vec![Problem::missing(field)];
    }
    match serde_json::from_slice::<Map<String, Value>>(&root.0) {
        Err(error) => vec![Problem::invalid(
            "failed to unmarshal",
            field,
            error.to_string(),
        )],
        Ok(root) if root.get("signatures").is_none_or(Value::is_null) => vec![Problem::invalid(
            "missing signatures in root.json",
            field,
            "no signatures",
        )],
        Ok(_) => Vec::new(),
    }
}

fn check_keys(keys: &api::SigstoreKeys) -> Vec<Problem> {
    const PATH: &str = api::SigstoreKeys::PATH;
    let mut problems = Vec::new();
    if keys.certificate_authorities.is_empty() && keys.timestamp_authorities.is_empty() {
        problems.push(Problem::neither(
            ["certificateAuthority", "timestampAuthorities"].map(|list| format!("{PATH}.{list}")),
        ));
    }
    for (index, ca) in keys.certificate_authorities.iter().enumerate() {
        problems.extend(check_authority(
            ca,
            &format!("{PATH}.certificateAuthority[{index}]"),
        ));
    }
    for (index, authority) in keys.timestamp_authorities.iter().enumerate() {
        let path = format!("{PATH}.timestampAuthorities[{index}]");
        problems.extend(check_authority(authority, &path));
        problems.extend(check_timestamp_chain(&authority.cert_chain, &path));
    }
    for (list, logs) in [("ctLogs", &keys.ct_logs), ("tLogs", &keys.t_logs)] {
        for (index, log) in logs.iter().enumerate() {
            problems.extend(check_log(log, &format!("{PATH}.{list}[{index}]")));
        }
    }
    if problems.is_empty() {
        problems.extend(check_content(keys));
    }
    problems
}

/// Keys and certificates that cannot be read, which policy-controller finds when it has accepted the resource already.
fn check_content(keys: &api::SigstoreKeys) -> Vec<Problem> {
    let unusable = sigstore_keys::trusted_root(keys).err().unwrap_or_default();
    unusable
        .into_iter()
        .map(|UnusableField { field, detail }| Problem::new("cannot be used", field, detail))
        .collect()
}

fn check_authority(authority: &api::CertificateAuthority, path: &str) -> Vec<Problem> {
    let subject = &authority.subject;
    missing(
        path,
        [
            ("subject.organization", subject.organization.is_empty()),
            ("subject.commonName", subject.common_name.is_empty()),
            ("uri", authority.uri.is_empty()),
            ("certchain", authority.cert_chain.is_empty()),
        ],
    )
}

fn check_log(log: &api::TransparencyLog, path: &str) -> Vec<Problem> {
    missing(
        path,
        [
            ("baseURL", log.base_url.is_empty()),
            ("hashAlgorithm", log.hash_algorithm.is_empty()),
            ("publicKey", log.public_key.is_empty()),
        ],
    )
}

fn missing<const N: usize>(path: &str, fields: [(&str, bool); N]) -> Vec<Problem> {
    let missing = fields.into_iter().filter(|(_, is_missing)| *is_missing);
    missing
        .map(|(field, _)| Problem::missing(format!("{path}.{field}")))
        .collect()
}

/// A timestamp authority signs with one certificate; all others of its chain are of certificate authorities.
fn check_timestamp_chain(chain: &api::Base64Bytes, path: &str) -> Option<Problem> {
    if chain.is_empty() {
        return None;
    }
    let message = match is_ca_of_each(&chain.0) {
        Err(found) => {
            return Some(Problem::invalid(
                "error splitting the certificates",
                format!("{path}.certChain"),
                found,
            ));
        }
        Ok(are_ca) => {
            let leaves = are_ca.into_iter().filter(|is_ca| !is_ca).count();
            (leaves > 1).then_some("certificate chain must contain at most one TSA certificate")?
        }
    };
    Some(Problem::invalid(message, format!("{path}.certChain"), ""))
}

/// For each certificate of a PEM text, whether it is a certificate authority's.
fn is_ca_of_each(pem: &[u8]) -> Result<Vec<bool>, String> {
    let text = std::str::from_utf8(pem).map_err(|_| "it is not text".to_owned())?;
    let starts: Vec<usize> = text
        .match_indices(api::PEM_BEGIN)
        .map(|(at, _)| at)
        .collect();
    if starts.is_empty() {
        return Err("error during PEM decoding".to_owned());
    }
    if starts.len() > CERTIFICATES {
        return Err(format!(
            "{} certificates, at most {CERTIFICATES} are read",
            starts.len()
        ));
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let blocks = starts.iter().zip(ends);
    blocks
        .map(|(start, end)| {
            let block = text.get(*start..end).unwrap_or_default().trim();
            let (_, der) =
                Document::from_pem(block).map_err(|_| "error during PEM decoding".to_owned())?;
            is_ca(der.as_bytes()).map_err(|error| format!("a certificate cannot be read: {error}"))
        })
        .collect()
}

/// Reads `basicConstraints` of a certificate (RFC 5280 §4.1): absent means it is no certificate authority.
fn is_ca(certificate: &[u8]) -> Result<bool, spki::der::Error> {
    let body = AnyRef::from_der(certificate)?;
    body.sequence(|outer: &mut SliceReader<'_>| {
        let to_be_signed = AnyRef::decode(outer)?;
        while !outer.is_finished() {
            AnyRef::decode(outer)?;
        }
        to_be_signed.sequence(|fields: &mut SliceReader<'_>| {
            let mut found = false;
            while !fields.is_finished() {
                let field = AnyRef::decode(fields)?;
                let is_extensions = matches!(
                    field.tag(),
                    Tag::ContextSpecific {
                        constructed: true,
                        number: TagNumber(3)
                    }
                );
                if is_extensions {
                    found = ca_extension(field.value())?;
                }
            }
            Ok(found)
        })
    })
}

/// `SEQUENCE OF SEQUENCE { id, critical, value }`.
fn ca_extension(extensions: &[u8]) -> Result<bool, spki::der::Error> {
    AnyRef::from_der(extensions)?.sequence(|list: &mut SliceReader<'_>| {
        let mut found = false;
        while !list.is_finished() {
            let extension = AnyRef::decode(list)?;
            let is_ca: Result<bool, spki::der::Error> =
                extension.sequence(|fields: &mut SliceReader<'_>| {
                    let id = ObjectIdentifier::decode(fields)?;
                    let mut value = AnyRef::decode(fields)?;
                    if value.tag() == Tag::Boolean {
                        value = AnyRef::decode(fields)?;
                    }
                    Ok(id == BASIC_CONSTRAINTS && constrains_a_ca(value.value())?)
                });
            found |= is_ca?;
        }
        Ok(found)
    })
}

/// `SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL }`.
fn constrains_a_ca(value: &[u8]) -> Result<bool, spki::der::Error> {
    AnyRef::from_der(value)?.sequence(|fields: &mut SliceReader<'_>| {
        let is_ca = Option::<bool>::decode(fields)?.unwrap_or(false);
        while !fields.is_finished() {
            AnyRef::decode(fields)?;
        }
        Ok(is_ca)
    })
}
