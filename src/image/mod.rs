//! Images: what a string in a Pod names, by which digest it is known, and which policies speak about it.
//!
//! Pure: no input or output, no clock, nothing of the other stages.
//!
//! In come strings that anybody with access to the cluster may write (an image field, a policy's glob, a digest in a document).
//! Out come types that can no longer be misread. What the container runtime would pull is the truth: a string that it refuses is
//! refused here, and a string that it accepts names the same repository, tag and digest here.
//!
//! | type | what it is | what it prevents |
//! |---|---|---|
//! | [`ImageReference`] | repository, tag, digest, and the user's spelling for messages | comparing raw strings |
//! | [`Repository`] | registry host and path | `nginx` and `docker.io/library/nginx` as two things |
//! | [`Tag`] | a label that can move | a label used as an identity |
//! | [`Digest`] | algorithm and exactly as many bytes as it has | `sha512` read as `sha256`, upper-case hex |
//! | [`PinnedImage`] | a reference and the digest that is judged | judging a tag |
//! | [`ImageGlob`], [`GlobSet`] | one pattern of a policy; all of them, compiled once | a pattern that crosses a host or path boundary |
//! | [`media_type`] | the kinds of document that an image is | two lists that differ |
//!
//! The grammar is that of `distribution/reference`; globs are those of policy-controller, with one addition ([`GlobMatch`]).

mod digest;
mod glob;
pub mod media_type;
mod pinned;
mod reference;
mod repository;
mod tag;

pub use digest::{Algorithm, Digest, InvalidDigest};
pub use glob::{GlobMatch, GlobMatches, GlobSet, GlobSetTooLarge, ImageGlob, InvalidGlob};
pub use pinned::PinnedImage;
pub use reference::{ImageReference, InvalidReference};
pub use repository::Repository;
pub use tag::Tag;
