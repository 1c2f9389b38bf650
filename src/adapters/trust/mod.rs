//! Trust roots from outside: behind TUF mirrors, and in a file.
//!
//! *In*: where a root is, and what is known of it from before. *Out*: bytes of a `trusted_root.json`, verified as far as their source
//! can be; what they mean is [`crate::trust`]'s to say.
//!
//! | file | where from |
//! |---|---|
//! | `mirror` | a TUF repository over HTTP, and what is kept of it: in memory, and on a disk where there is one |
//! | `kept` | that memory: metadata and target of the last good refresh, in one file |
//! | `file` | `--trusted-root FILE`, read again when it changes |

mod file;
mod kept;
mod mirror;

pub use file::{FileError, TrustedRootFile};
pub use kept::Kept;
pub use mirror::{Mirror, MirrorError};
