//! The answers of a recording, and the two documents in which they are written.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::image::media_type::IMAGE_INDEX;
use crate::image::{Digest, Repository, Tag};

/// The value of `schema` in `recording.json`.
pub(super) const SCHEMA: &str = "vouchsafe.recording/v1";

/// What registries answered. Bytes are elsewhere, by their digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    /// What tags name; `None` was answered 404.
    pub(super) tags: BTreeMap<(Repository, Tag), Option<Digest>>,
    /// Manifests. Which repository gave one does not matter: it is the bytes of its digest.
    pub(super) manifests: BTreeMap<Digest, ManifestKind>,
    /// Manifests that were asked for by digest and answered 404.
    pub(super) absent_manifests: BTreeSet<(Repository, Digest)>,
    /// Blobs that were answered 404.
    pub(super) absent_blobs: BTreeSet<(Repository, Digest)>,
    /// Lists of referrers; `None` was answered 404.
    pub(super) referrers: BTreeMap<ReferrersKey, Option<Pages>>,
}

/// What is known about a manifest beside its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ManifestKind {
    pub(super) media_type: String,
    pub(super) size: u64,
}

/// A list of referrers: of what, and of which artifact type alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReferrersKey {
    pub(super) repository: Repository,
    pub(super) subject: Digest,
    pub(super) artifact_type: Option<String>,
}

/// The pages of a list, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pages {
    pub(super) pages: Vec<Page>,
    /// Whether the last of them names another one, which was not asked for.
    pub(super) more: bool,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// The digest of its bytes.
    pub(super) digest: Digest,
    /// Whether the registry said that it left out other artifact types.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) filtered: bool,
}

/// `index.json`. Members of the specification that mean nothing here are passed over, so that other tools may write it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    schema_version: u32,
    media_type: Option<String>,
    manifests: Vec<Descriptor>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    annotations: Annotations,
}

#[derive(Default, Serialize, Deserialize)]
struct Annotations {
    /// `REGISTRY/PATH:TAG`, where a tag named the manifest.
    #[serde(
        rename = "org.opencontainers.image.ref.name",
        skip_serializing_if = "Option::is_none"
    )]
    name: Option<String>,
}

/// `recording.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Lookups {
    pub(super) schema: String,
    /// The digest of the file of cases that was written with it, by which an edited one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cases: Option<Digest>,
    #[serde(default)]
    absent: Absent,
    #[serde(default)]
    referrers: Vec<Referrers>,
}

/// Lookups that were answered 404.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Absent {
    /// `REGISTRY/PATH:TAG` or `REGISTRY/PATH@DIGEST`.
    #[serde(default)]
    manifests: Vec<String>,
    /// `REGISTRY/PATH@DIGEST`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blobs: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Referrers {
    repository: String,
    subject: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    /// `null`: answered 404, so that the registry has no referrers API.
    pages: Option<Vec<Page>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

// === impl Answers ===

impl Answers {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let pages = self
            .referrers
            .values()
            .flatten()
            .map(|list| list.pages.len());
        [
            self.tags.len(),
            self.manifests.len(),
            self.absent_manifests.len(),
            self.absent_blobs.len(),
            self.referrers.len(),
        ]
        .into_iter()
        .chain(pages)
        .fold(0, usize::saturating_add)
    }

    /// Every manifest, and once more for each further tag that names it.
    pub(super) fn index(&self) -> Index {
        let mut names: BTreeMap<&Digest, Vec<String>> = BTreeMap::new();
        for ((repository, tag), digest) in &self.tags {
            if let Some(digest) = digest {
                let name = format!("{repository}:{tag}");
                names.entry(digest).or_default().push(name);
            }
        }
        let descriptor = |digest: &Digest, kind: &ManifestKind, name: Option<String>| Descriptor {
            media_type: kind.media_type.clone(),
            digest: digest.clone(),
            size: kind.size,
            annotations: Annotations { name },
        };
        let manifests =
            self.manifests
                .iter()
                .flat_map(|(digest, kind)| match names.remove(digest) {
                    Some(names) => names
                        .into_iter()
                        .map(|name| descriptor(digest, kind, Some(name)))
                        .collect(),
                    None => vec![descriptor(digest, kind, None)],
                });
        Index {
            schema_version: 2,
            media_type: Some(IMAGE_INDEX.to_owned()),
            manifests: manifests.collect(),
        }
    }

    /// What `index.json` has no place for.
    pub(super) fn lookups(&self, cases: Option<Digest>) -> Lookups {
        let tags = self.tags.iter().filter(|(_, digest)| digest.is_none());
        let tags = tags.map(|((repository, tag), _)| format!("{repository}:{tag}"));
        let by_digest =
            |(repository, digest): &(Repository, Digest)| format!("{repository}@{digest}");
        let manifests = self.absent_manifests.iter().map(by_digest);
        let referrers = self.referrers.iter().map(|(key, list)| Referrers {
            repository: key.repository.to_string(),
            subject: key.subject.clone(),
            artifact_type: key.artifact_type.clone(),
            pages: list.as_ref().map(|list| list.pages.clone()),
            more: list.as_ref().is_some_and(|list| list.more),
        });
        Lookups {
            schema: SCHEMA.to_owned(),
            cases,
            absent: Absent {
                manifests: tags.chain(manifests).collect(),
                blobs: self.absent_blobs.iter().map(by_digest).collect(),
            },
            referrers: referrers.collect(),
        }
    }

    /// The answers that both documents hold; the error says what contradicts itself or cannot be read.
    pub(super) fn read(index: Index, lookups: Lookups) -> Result<Self, String> {
        let mut answers = Self::default();
        for descriptor in index.manifests {
            answers.found(descriptor)?;
        }
        for name in lookups.absent.manifests {
            match lookup(&name)? {
                Lookup::Tag(repository, tag) => answers.tag(repository, tag, None)?,
                Lookup::Digest(repository, digest) => {
                    answers.absent_manifests.insert((repository, digest));
                }
            }
        }
        for name in lookups.absent.blobs {
            match lookup(&name)? {
                Lookup::Digest(repository, digest) => {
                    answers.absent_blobs.insert((repository, digest));
                }
                Lookup::Tag(..) => return Err(format!("a blob has no tag: {name:?}")),
            }
        }
        for list in lookups.referrers {
            answers.listed(list)?;
        }
        Ok(answers)
    }

    fn found(&mut self, descriptor: Descriptor) -> Result<(), String> {
        if let Some(name) = descriptor.annotations.name {
            match lookup(&name)? {
                Lookup::Tag(repository, tag) => {
                    self.tag(repository, tag, Some(descriptor.digest.clone()))?;
                }
                Lookup::Digest(..) => return Err(format!("{name:?} names no tag")),
            }
        }
        let kind = ManifestKind {
            media_type: descriptor.media_type,
            size: descriptor.size,
        };
        self.manifests.insert(descriptor.digest, kind);
        Ok(())
    }

    fn tag(
        &mut self,
        repository: Repository,
        tag: Tag,
        digest: Option<Digest>,
    ) -> Result<(), String> {
        let name = format!("{repository}:{tag}");
        match self.tags.insert((repository, tag), digest) {
            None => Ok(()),
            Some(_) => Err(format!("{name} is answered twice")),
        }
    }

    fn listed(&mut self, list: Referrers) -> Result<(), String> {
        let unreadable = |error| format!("repository {:?}: {error}", list.repository);
        let key = ReferrersKey {
            repository: Repository::parse(&list.repository).map_err(unreadable)?,
            subject: list.subject,
            artifact_type: list.artifact_type,
        };
        let more = list.more;
        let what = format!("the referrers of {}@{}", key.repository, key.subject);
        let pages = list.pages.map(|pages| Pages { pages, more });
        match self.referrers.insert(key, pages) {
            None => Ok(()),
            Some(_) => Err(format!("{what} are answered twice")),
        }
    }
}

// === impl Annotations ===

impl Annotations {
    fn is_empty(&self) -> bool {
        self.name.is_none()
    }
}

enum Lookup {
    Tag(Repository, Tag),
    Digest(Repository, Digest),
}

/// `REGISTRY/PATH:TAG` or `REGISTRY/PATH@DIGEST`. A digest has a `:` too, so it is looked for first.
fn lookup(name: &str) -> Result<Lookup, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("{name:?}: {error}");
    let repository = |text| Repository::parse(text).map_err(|error| unreadable(&error));
    if let Some((path, digest)) = name.split_once('@') {
        let digest = digest.parse().map_err(|error| unreadable(&error))?;
        return Ok(Lookup::Digest(repository(path)?, digest));
    }
    let Some((path, tag)) = name.rsplit_once(':') else {
        return Err(format!("{name:?} has neither a tag nor a digest"));
    };
    let tag = tag.parse().map_err(|error| unreadable(&error))?;
    Ok(Lookup::Tag(repository(path)?, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> Repository {
        Repository::parse("127.0.0.1:5000/shop/cart").unwrap()
    }

    fn answers() -> Answers {
        let (image, signature) = (Digest::sha256_of(b"image"), Digest::sha256_of(b"signature"));
        let kind = |size| ManifestKind {
            media_type: crate::image::media_type::IMAGE_MANIFEST.to_owned(),
            size,
        };
        let tag = |text: &str| (repository(), text.parse().unwrap());
        let list = |artifact_type: Option<&str>| ReferrersKey {
            repository: repository(),
            subject: image.clone(),
            artifact_type: artifact_type.map(str::to_owned),
        };
        let page = |bytes: &[u8]| Page {
            digest: Digest::sha256_of(bytes),
            filtered: true,
        };
        let pages = Pages {
            pages: vec![page(b"one"), page(b"two")],
            more: true,
        };
        Answers {
            tags: BTreeMap::from([
                (tag("1.4"), Some(image.clone())),
                (tag("latest"), Some(image.clone())),
                (tag("sha256-00.sig"), None),
            ]),
            manifests: BTreeMap::from([(image.clone(), kind(5)), (signature.clone(), kind(9))]),
            absent_manifests: BTreeSet::from([(repository(), Digest::sha256_of(b"lost"))]),
            absent_blobs: BTreeSet::from([(repository(), Digest::sha256_of(b"lost too"))]),
            referrers: BTreeMap::from([(list(None), None), (list(Some("a/b")), Some(pages))]),
        }
    }

    /// Through text and back.
    fn rewritten(answers: &Answers) -> Answers {
        let index = serde_json::to_string(&answers.index()).unwrap();
        let lookups = serde_json::to_string(&answers.lookups(None)).unwrap();
        Answers::read(
            serde_json::from_str(&index).unwrap(),
            serde_json::from_str(&lookups).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(rewritten(&answers()), answers());
        assert_eq!(rewritten(&Answers::default()), Answers::default());
    }

    #[test]
    fn two_answers_to_one_question_are_an_error() {
        let mut index = answers().index();
        let named = |found: &Descriptor| found.annotations.name.is_some();
        let again = answers().index().manifests.into_iter().find(named);
        index.manifests.extend(again);
        let error = Answers::read(index, answers().lookups(None)).unwrap_err();
        assert!(error.contains("answered twice"), "{error}");

        let mut lookups = answers().lookups(None);
        lookups
            .absent
            .manifests
            .push("127.0.0.1:5000/shop/cart:1.4".to_owned());
        let error = Answers::read(answers().index(), lookups).unwrap_err();
        assert!(error.contains("answered twice"), "{error}");
    }

    #[test]
    fn names_that_are_none_are_refused() {
        for name in [
            "",
            "cart",
            "shop/../cart:1",
            "shop/cart@sha256:00",
            "shop/cart:../x",
            "a b:c",
        ] {
            assert!(lookup(name).is_err(), "{name}");
        }
    }
}
