//! Predicate types, by URI and by the short names that cosign gives them.

use std::fmt;

/// A predicate type as a policy names it, and the URI that a statement must carry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PredicateType {
    written: String,
    uri: String,
}

/// Short names and what they stand for, as in cosign and policy-controller.
const ALIASES: &[(&str, &str)] = &[
    ("custom", "https://cosign.sigstore.dev/attestation/v1"),
    ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
    ("spdx", "https://spdx.dev/Document"),
    ("spdxjson", "https://spdx.dev/Document"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("link", "https://in-toto.io/Link/v1"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
    ("openvex", "https://openvex.dev/ns"),
];

impl PredicateType {
    /// The type that a policy names by alias or URI. Anything that is no alias is taken verbatim.
    pub fn new(written: &str) -> Self {
        let uri = ALIASES
            .iter()
            .find(|(alias, _)| *alias == written)
            .map_or(written, |(_, uri)| uri);
        Self {
            written: written.to_owned(),
            uri: uri.to_owned(),
        }
    }

    /// As the policy writes it.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The URI that a statement's `predicateType` must equal, byte for byte.
    pub fn uri(&self) -> &str {
        &self.uri
    }
}

impl fmt::Display for PredicateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_stand_for_their_uri_and_uris_for_themselves() {
        assert_eq!(
            PredicateType::new("slsaprovenance").uri(),
            "https://slsa.dev/provenance/v0.2"
        );
        assert_eq!(
            PredicateType::new("https://slsa.dev/provenance/v1").uri(),
            "https://slsa.dev/provenance/v1"
        );
        assert_eq!(
            PredicateType::new("slsaprovenance").to_string(),
            "slsaprovenance"
        );
        // All that cosign takes for `--type`; other spellings are no alias.
        let known: Vec<&str> = ALIASES.iter().map(|(alias, _)| *alias).collect();
        let cosigns = "custom slsaprovenance slsaprovenance02 slsaprovenance1 spdx spdxjson cyclonedx link vuln openvex";
        assert_eq!(known, cosigns.split(' ').collect::<Vec<_>>());
        assert_eq!(PredicateType::new("SPDX").uri(), "SPDX");
    }
}
