//! Cases of `vouchsafe test`: what is to be judged, and what is to come of it.
//!
//! *In*: the text of a `vouchsafe-test.yaml`. *Out*: [`Case`]s, or a [`CaseError`] with its line and column. Beside it stands how a
//! case is compared with what was found, and how a file of cases is written. Pure: who runs a case reads the files that it names.
//!
//! | file | what it does |
//! |---|---|
//! | `read` | strict decoding: an unknown field is an error, as in policies |
//! | `compare` | expected and found, difference by difference |
//! | `write` | the file that `vouchsafe verify --record` leaves |

mod compare;
mod read;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::verdict::{Judgement, NoMatchPolicy, Reason};

pub use compare::{Difference, Found};
pub use read::{CaseError, read};
pub use write::{Recorded, write};

/// One case. Its paths are relative to the folder of its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What it shows, as a sentence; no two of one name in a file.
    pub name: String,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Files and folders of policies; empty means the folder of the file of cases.
    pub policies: Vec<PathBuf>,
    /// When it is judged. Without one that is now.
    pub at: Option<Timestamp>,
    /// What is judged.
    pub subject: Subject,
    /// What is to come of it.
    pub expected: Expected,
}

/// What a case is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// An image, which takes the whole way, with recorded answers instead of registries.
    Image(ImageSubject),
    /// Statements as if somebody trusted had signed them: they are given to the Rego of attestations.
    Statements {
        /// Files with one statement each, at least one.
        files: Vec<PathBuf>,
        /// Only attestations of this name.
        attestation: Option<String>,
    },
    /// What authorities found: the input of the policy that stands over them.
    Input {
        /// A file with JSON.
        file: PathBuf,
    },
}

/// An image, and what an admission request would say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSubject {
    /// As it stands in a Pod.
    pub image: String,
    /// The folder of a recording; the default is `vouchsafe-evidence` beside the file of cases.
    pub evidence: Option<PathBuf>,
    /// The object that runs it. Without one, policies that select objects do not match.
    pub object: Option<Object>,
    /// What is answered when no policy matches.
    pub no_match: NoMatchPolicy,
}

/// The object that runs an image, as far as `match` looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Object {
    /// Group and version.
    #[serde(default = "core")]
    pub api_version: String,
    /// One of the kinds that run images.
    pub kind: String,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What is to come of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The answer.
    pub verdict: Judgement,
    /// Why.
    pub reason: Option<Reason>,
    /// Part of what is said about it.
    pub message: Option<String>,
}

fn core() -> String {
    "v1".to_owned()
}

fn default_namespace() -> String {
    "default".to_owned()
}
