//! Where the PEM text of a key, or of a certificate authority, comes from: the policy itself, a Secret, a key management service.
//!
//! What stands elsewhere was fetched before ([`Referents`]). What is not there is a problem of the policy that refers to it: it is kept
//! and denies what it matches, until the next compilation finds it.

use super::problem::Problem;
use super::referents::Referents;
use crate::api;

/// What is looked for, and with it the entry that counts in a Secret with several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    /// A public key: `cosign generate-key-pair k8s://` writes it beside the private one.
    Key,
    /// Certificates of an authority: Secrets of TLS have them beside a certificate and its key.
    Authority,
}

// === impl Sought ===

impl Sought {
    fn entry(self) -> &'static str {
        match self {
            Self::Key => "cosign.pub",
            Self::Authority => "ca.crt",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Key => "public key",
            Self::Authority => "certificate authority",
        }
    }
}

/// A text that should be a key, and the field that it comes from.
pub(super) struct KeyText<'a> {
    pub(super) pem: &'a str,
    pub(super) field: String,
    /// Where it was found, for messages; `None` for the policy itself.
    pub(super) found_in: Option<String>,
}

/// The text of a well-formed key reference at `path`.
pub(super) fn text<'a>(
    key: &'a api::KeyRef,
    sought: Sought,
    path: &str,
    referents: &'a Referents,
) -> Result<KeyText<'a>, Problem> {
    if let Some(secret) = &key.secret_ref {
        let field = format!("{path}.secretref");
        return in_secret(secret, sought, &field, referents);
    }
    if !key.kms.is_empty() {
        let field = format!("{path}.kms");
        return match referents.kms_keys.get(&key.kms) {
            Some(Ok(pem)) => Ok(KeyText {
                pem,
                field,
                found_in: Some(format!("the answer for {:?}", key.kms)),
            }),
            Some(Err(why)) => Err(Problem::elsewhere(field, why.clone())),
            None => Err(Problem::unresolved(
                field,
                format!("{:?} was not asked for its public key yet", key.kms),
            )),
        };
    }
    Ok(KeyText {
        pem: &key.data,
        field: format!("{path}.data"),
        found_in: None,
    })
}

fn in_secret<'a>(
    secret: &api::SecretReference,
    sought: Sought,
    field: &str,
    referents: &'a Referents,
) -> Result<KeyText<'a>, Problem> {
    let own = &referents.namespace;
    if !secret.namespace.is_empty() && secret.namespace != *own {
        let why = format!("Secrets of keys are read in the namespace {own:?} only");
        return Err(Problem::unresolved(format!("{field}.namespace"), why));
    }
    let name = &secret.name;
    let Some(data) = referents.secrets.get(name) else {
        let why = format!("secret {name:?} is not in the namespace {own:?}");
        return Err(Problem::unresolved(field, why));
    };
    let wrong = |why: String| Problem::elsewhere(field, why);
    let mut entries = data.values();
    let bytes = match (entries.next(), entries.next(), data.get(sought.entry())) {
        (None, ..) => return Err(wrong(format!("secret {name:?} contains no data"))),
        (Some(only), None, _) => only,
        (Some(_), Some(_), Some(named)) => named,
        (Some(_), Some(_), None) => {
            return Err(wrong(format!(
                "secret {name:?} contains multiple data entries, and none of them is {}: only one is supported",
                sought.entry()
            )));
        }
    };
    let pem = std::str::from_utf8(bytes).map_err(|_| {
        wrong(format!(
            "secret {name:?} contains an invalid {}: not text",
            sought.name()
        ))
    })?;
    Ok(KeyText {
        pem,
        field: field.to_owned(),
        found_in: Some(format!("secret {name:?}")),
    })
}

#[cfg(test)]
mod tests;
