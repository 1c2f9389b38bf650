//! The documents that an image itself is made of, as far as policies look at them: indexes, manifests, config files.

use oci_spec::image::{ImageIndex, ImageManifest};
use serde_json::Value;

use super::MalformedManifest;
use crate::image::Digest;
use crate::image::media_type::{INDEXES, MANIFESTS};
use crate::limits::json::{brief, parse_small};

/// Nesting of a document. Real ones need six levels.
const DEPTH: usize = 32;
/// Values in a document. Real config files need a few hundred.
const VALUES: usize = 100_000;

/// Another document, as one names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The digest that its bytes must have.
    pub digest: Digest,
    /// The size that is claimed, in bytes.
    pub size: u64,
}

/// What an image's digest stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageDocument {
    /// An index: manifests or further indexes, in its order.
    Index(Vec<Named>),
    /// A manifest, by its config file.
    Manifest(Named),
}

/// A config file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// For which platform, as policy-controller writes it: `os/architecture[/variant][:os.version]`; empty without an `os`.
    pub platform: String,
    /// The file as it came.
    pub json: String,
}

// === impl ImageDocument ===

impl ImageDocument {
    /// Reads an index or a manifest.
    ///
    /// # Errors
    /// Another kind of document, or not one at all.
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, MalformedManifest> {
        let value = parse(bytes)?;
        if INDEXES.contains(&media_type) {
            let index: ImageIndex = serde_json::from_value(value).map_err(|e| malformed(&e))?;
            let members = index.manifests().iter();
            let members = members.map(|entry| named(entry.digest().as_ref(), entry.size()));
            return members.collect::<Result<_, _>>().map(Self::Index);
        }
        if MANIFESTS.contains(&media_type) {
            let manifest: ImageManifest =
                serde_json::from_value(value).map_err(|e| malformed(&e))?;
            let config = manifest.config();
            return named(config.digest().as_ref(), config.size()).map(Self::Manifest);
        }
        Err(malformed(&format!("unknown mime type {media_type}")))
    }
}

// === impl ConfigFile ===

impl ConfigFile {
    /// Reads a config file.
    ///
    /// # Errors
    /// It is no JSON object, or its platform is not text.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedManifest> {
        let value = parse(bytes)?;
        if !value.is_object() {
            return Err(malformed(&"it is not an object"));
        }
        let word = |key: &str| match value.get(key) {
            None | Some(Value::Null) => Ok(""),
            Some(Value::String(word)) => Ok(word.as_str()),
            Some(_) => Err(malformed(&format!("{key} is not text"))),
        };
        let (os, architecture) = (word("os")?, word("architecture")?);
        let (variant, version) = (word("variant")?, word("os.version")?);
        let mut platform = os.to_owned();
        let parts = [("/", architecture), ("/", variant), (":", version)];
        for (separator, part) in parts
            .iter()
            .filter(|(_, part)| !os.is_empty() && !part.is_empty())
        {
            platform.push_str(separator);
            platform.push_str(part);
        }
        let json = std::str::from_utf8(bytes).map_err(|e| malformed(&e))?;
        Ok(Self {
            platform,
            json: json.to_owned(),
        })
    }
}

fn parse(bytes: &[u8]) -> Result<Value, MalformedManifest> {
    parse_small(bytes, DEPTH, VALUES).map_err(|error| malformed(&error))
}

fn named(digest: &str, size: u64) -> Result<Named, MalformedManifest> {
    match digest.parse() {
        Ok(digest) => Ok(Named { digest, size }),
        Err(error) => Err(malformed(&format!("it names {digest}: {error}"))),
    }
}

fn malformed(error: &impl std::fmt::Display) -> MalformedManifest {
    MalformedManifest {
        detail: brief(error),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#"{"os":"linux","architecture":"amd64"}"#, "linux/amd64")]
    #[case(
        r#"{"os":"linux","architecture":"arm","variant":"v7"}"#,
        "linux/arm/v7"
    )]
    #[case(
        r#"{"os":"windows","architecture":"amd64","os.version":"10.0.17763.1817"}"#,
        "windows/amd64:10.0.17763.1817"
    )]
    #[case(r#"{"os":"unknown","architecture":"unknown"}"#, "unknown/unknown")]
    #[case(r#"{"architecture":"amd64","variant":null}"#, "")]
    fn a_platform_is_written_as_policy_controller_writes_it(
        #[case] json: &str,
        #[case] platform: &str,
    ) {
        let config = ConfigFile::parse(json.as_bytes()).unwrap();
        assert_eq!(
            (config.platform.as_str(), config.json.as_str()),
            (platform, json)
        );
    }

    #[rstest]
    #[case("[]")]
    #[case(r#"{"os":1}"#)]
    #[case(r#"{"os":"linux","os":"windows"}"#)]
    #[case("")]
    fn what_can_be_read_in_two_ways_is_no_config_file(#[case] json: &str) {
        assert!(ConfigFile::parse(json.as_bytes()).is_err());
    }

    #[test]
    fn only_indexes_and_manifests_have_config_files() {
        let error = ImageDocument::parse(
            "application/vnd.docker.distribution.manifest.v1+json",
            b"{}",
        );
        assert!(error.unwrap_err().detail.contains("unknown mime type"));
    }
}
