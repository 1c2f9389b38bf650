//! Vouchsafe: a Kubernetes admission webhook that admits an image only when somebody your policies trust has vouched for exactly
//! those bytes.
//!
//! The way of one request:
//!
//! ```text
//! POST /validate?timeout=10s                                        server/
//!   AdmissionReview ─► Request { uid, operation, object, … } + deadline
//!       │ workload    pure   every field that holds an image, one table for all kinds
//!       ▼
//!   ImageUse { field path, image }  + PullScope (namespace, service account, pull secrets)
//!       │ image       pure   parse and normalise; tag and digest together
//!       │ gather      I/O    tag → digest, once per distinct reference
//!       ▼
//!   PinnedImage { reference, Digest }
//!       │ policy      pure   globs × match selectors over an immutable, precompiled PolicySet
//!       ▼
//!   matching policies (none → no-match-policy)
//!       │ gather      I/O    tags, referrers, bundles: place after place, until an authority is satisfied
//!       ▼
//!   Evidence (untrusted bytes with a shape)
//!       │ verify      pure   Evidence × Requirement × TrustMaterial → Verified<T> | Rejection; bound to this digest
//!       ▼
//!   Attestation { Statement }
//!       │ predicate_policy   per attestation, then per policy; Rego; time and memory bounded
//!       ▼
//!   authority → policy → image → ReviewVerdict                      verdict/   any authority · every policy · every image
//!       ▼ explain     pure   denial, warnings, annotations, tree, JSON
//!   AdmissionResponse                                                server/
//! ```
//!
//! `POST /mutate` goes the same way as far as the digest of a tag, and answers with a JSON Patch that writes it into the object.
//! `POST /validate-policy` and `lint` ask [`apply`] what is wrong with a policy, `migrate check` asks [`migrate`] what differs from
//! sigstore/policy-controller. What is judged by comes another way, whenever it
//! changes, and is in force as one snapshot:
//!
//! ```text
//! files, API server ─► api ─► policy::compile ◄─ Referents (Secrets, ConfigMaps, keys, remote policies, trust) ─► Snapshot      app/engine
//! ```
//!
//! [`decide`] walks that way; the other folders are its stages, and a stage's `mod.rs` says what comes in, what goes out and what
//! can go wrong. Which folder may use which is a table in `tests/architecture.rs`. All input and output beside the webhook's own
//! socket is in [`adapters`], but for what [`app`] and [`cli`] read at the start and [`demo`] serves.

pub mod adapters;
pub mod api;
pub mod app;
pub mod apply;
pub mod cases;
pub mod cli;
pub mod config;
pub mod decide;
pub mod demo;
pub mod evidence;
pub mod explain;
pub mod gather;
pub mod go_regexp;
pub mod image;
pub mod limits;
pub mod migrate;
pub mod policy;
pub mod predicate_policy;
pub mod server;
pub mod statement;
pub mod telemetry;
pub mod trust;
pub mod verdict;
pub mod verify;
pub mod workload;
