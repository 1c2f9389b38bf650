//! `vouchsafe verify --record DIR`: the run as a case of `vouchsafe test`, with everything that registries answered.
//!
//! ```text
//! DIR/vouchsafe-test.yaml    a case for each image, with the verdict it had
//! DIR/vouchsafe-evidence/    what was fetched (adapters/recording)
//! ```
//!
//! What is written is run once before it counts. Policies stay where they are and are named: a case is about the policy as it is then.
//! Manifests are not kept; of an object only what `match` looks at is.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use super::note;
use crate::adapters::files::{CASES_FILE, EVIDENCE_FOLDER};
use crate::adapters::recording::{Recorder, Recording};
use crate::app::cases::{Ended, run};
use crate::app::engine::Engine;
use crate::cases::{self, Object, Recorded};
use crate::config::JudgeArgs;
use crate::explain::Style;
use crate::image::Digest;
use crate::limits::Limits;
use crate::verdict::{ImageVerdict, NoMatchPolicy};
use crate::workload::Request;

/// A recording that is being made.
pub(super) struct Record {
    folder: PathBuf,
    recorder: Arc<Recorder>,
    policies: Vec<PathBuf>,
    no_match: NoMatchPolicy,
    at: Timestamp,
}

// === impl Record ===

impl Record {
    /// Looks whether the folder can take a recording, and gives the engine whose registries are recorded.
    pub(super) fn start(folder: &Path, args: &JudgeArgs) -> anyhow::Result<(Self, Engine)> {
        check(folder)?;
        let (engine, recorder) = Engine::recording(args, &Limits::default())?;
        let record = Self {
            folder: folder.to_owned(),
            recorder,
            policies: args.policies.clone(),
            no_match: args.no_match_policy.into(),
            at: this_second(),
        };
        Ok((record, engine))
    }

    /// Writes the recording, and runs it.
    pub(super) async fn finish(
        self,
        judged: Vec<(Option<Arc<Request>>, ImageVerdict)>,
        engine: &Engine,
    ) -> anyhow::Result<()> {
        let shown = self.folder.display();
        let recording = self.recorder.recording().with_context(|| {
            format!(
                "nothing is recorded in {shown}, because a recording holds answers and no failures"
            )
        })?;
        // Between the first look and now much time has passed.
        check(&self.folder)?;
        clear(&self.folder)?;
        fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {shown}"))?;
        let text = self.cases(judged)?;
        let evidence = self.folder.join(EVIDENCE_FOLDER);
        let recording = recording.trusting(engine.other_root());
        recording.write(&evidence, &Digest::sha256_of(text.as_bytes()))?;
        let file = self.folder.join(CASES_FILE);
        fs::write(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
        self.replay(&text).await?;
        note(&format!("recorded: run it with vouchsafe test {shown}"));
        Ok(())
    }

    fn cases(&self, judged: Vec<(Option<Arc<Request>>, ImageVerdict)>) -> anyhow::Result<String> {
        let images: Vec<(Option<Object>, ImageVerdict)> = judged
            .into_iter()
            // Where no image could be read there is none to judge again.
            .filter(|(_, image)| !image.written.is_empty())
            .map(|(request, image)| (request.as_deref().map(object), image))
            .collect();
        if images.is_empty() {
            bail!("nothing is recorded: no image was judged");
        }
        let policies = self
            .policies
            .iter()
            .map(|path| relative(&self.folder, path));
        let recorded = Recorded {
            at: self.at,
            policies: policies.collect::<anyhow::Result<_>>()?,
            no_match: self.no_match,
            images,
        };
        cases::write(&recorded).context("the cases cannot be written as YAML")
    }

    /// A recording from which another verdict comes than the one it was made of is none.
    async fn replay(&self, text: &str) -> anyhow::Result<()> {
        let plain = Style {
            color: false,
            width: usize::MAX,
        };
        for case in cases::read(text).context("the cases that were written cannot be read")? {
            let why = match run(&case, &self.folder, plain).await {
                Ended::Passed => continue,
                Ended::Broken(why) => why,
                Ended::Failed {
                    differences,
                    complaints,
                    ..
                } => {
                    let differences = differences.iter().map(|difference| {
                        let (what, found) = (difference.what, &difference.found);
                        format!("{what} {found} instead of {}", difference.expected)
                    });
                    let all: Vec<String> = complaints.into_iter().chain(differences).collect();
                    all.join("; ")
                }
            };
            clear(&self.folder)?;
            bail!(
                "nothing is recorded: judged again from the recording, {:?} came out otherwise: {why}",
                case.name
            );
        }
        Ok(())
    }
}

/// Now, without the fractions that nobody reads.
fn this_second() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// What `match` looks at.
fn object(request: &Request) -> Object {
    let labels = request
        .object
        .pointer("/metadata/labels")
        .and_then(serde_json::Value::as_object);
    let labels = labels.into_iter().flatten();
    Object {
        api_version: if request.group.is_empty() {
            request.version.clone()
        } else {
            format!("{}/{}", request.group, request.version)
        },
        kind: request.kind.clone(),
        namespace: request.namespace.clone(),
        labels: labels
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
    }
}

/// Whether the folder is free: not there, empty, or a recording to which nothing was done since.
fn check(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot record into {shown}")),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(
            entry
                .with_context(|| format!("cannot read {shown}"))?
                .file_name(),
        );
    }
    if names.is_empty() {
        return Ok(());
    }
    let ours = |name: &std::ffi::OsString| name == CASES_FILE || name == EVIDENCE_FOLDER;
    let (evidence, file) = (folder.join(EVIDENCE_FOLDER), folder.join(CASES_FILE));
    let written = Recording::cases(&evidence).ok().flatten();
    let Some(written) = written.filter(|_| names.iter().all(ours)) else {
        bail!(
            "{shown} is not empty and holds other things than a recording: name a folder of its own"
        );
    };
    match fs::read(&file) {
        Ok(text) if written.is_digest_of(&text) => Ok(()),
        Ok(_) => bail!(
            "{} was edited since it was recorded: move it elsewhere, or name another folder",
            file.display()
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Removes the recording that [`check`] has found.
fn clear(folder: &Path) -> anyhow::Result<()> {
    let (evidence, file) = (folder.join(EVIDENCE_FOLDER), folder.join(CASES_FILE));
    if evidence.exists() {
        Recording::remove(&evidence).context("the older recording cannot be replaced")?;
    }
    if file.exists() {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok(())
}

/// `path` as it is named from `folder`, both of which exist.
fn relative(folder: &Path, path: &Path) -> anyhow::Result<PathBuf> {
    let real = |path: &Path| {
        fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))
    };
    let (from, to) = (real(folder)?, real(path)?);
    let shared = from.components().zip(to.components());
    let shared = shared.take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    let down: PathBuf = up.chain(to.components().skip(shared)).collect();
    Ok(if down.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        down
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_named_from_a_folder() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("a/b/c")).unwrap();
        fs::create_dir_all(path("a/p")).unwrap();
        for (folder, other, expected) in [
            ("a/b/c", "a/p", "../../p"),
            ("a", "a/p", "p"),
            ("a/p", "a/p", "."),
            ("a/b", "a", ".."),
        ] {
            let found = relative(&path(folder), &path(other)).unwrap();
            assert_eq!(found, Path::new(expected));
        }
        assert!(relative(&path("a"), &path("nowhere")).is_err());
    }
}
