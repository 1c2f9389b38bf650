//! policy-controller's own scenarios: what its end-to-end scripts (`test/e2e_test_*.sh`) assert, step by step, of this webhook.
//!
//! Policies, states of images, probes and words are those of the scripts. The registry is one in this process, Fulcio, Rekor and the timestamp
//! authority are those of `support/sigstore`, `kubectl create job` is the review that the API server makes of it, and an edit of a resource
//! is an edit of the file that the webhook reads. Where the outcome differs on purpose (`docs/differences.md`), the test asserts ours and
//! says so.
//!
//! | script | steps | shown by |
//! |---|---|---|
//! | `cluster_image_policy.sh` | 1 to 7: identities, static policies | [`cluster_image_policy`] `step_01` to `step_07` |
//! | | 8 to 13: a key; a key or an identity; without SCTs | `step_08` to `step_13` |
//! | | 14 to 17: a key in a Secret; `source.oci` | `steps_14_and_15`, `step_16`, `step_17` |
//! | | 18 to 20: `match` by label | `steps_18_to_20` |
//! | | 21: SHA-512, a glob with a tag (vacuous there) | `step_21`, with both outcomes: here such a glob matches |
//! | | 22 to 24: a Pod, `kubectl debug` | `step_22` to `step_24` |
//! | `…_with_attestations.sh` | 1 to 6 | [`attestations`], in Rego; as they are: [`cue`] |
//! | | 7 and 8 (disabled there) | `steps_7_and_8`, in Rego |
//! | `…_with_attestations_rego.sh` | 1 to 8 | [`attestations`]: 3 and 4 by name, the others with those of the other script |
//! | `…_no_tuf.sh` | 1 to 3 | [`no_tuf`] |
//! | `…_with_source.sh` | 1 to 4 | [`source`] |
//! | `…_oci11_attestations.sh` | one, vacuous: its namespace has no label | nothing to show; attestations that refer to an image: `tests/bundles.rs` |
//! | `…_with_fetch_config_file.sh` | both | [`inputs`], in Rego; as it is: [`cue`] |
//! | `…_from_configmap_with_fetch_config_file.sh` | both, by an edit of the ConfigMap | the same |
//! | `…_from_url.sh` | both, by another URL | `tests/policy_inputs/references.rs`: `a_policy_that_is_edited_to_another_url_is_fetched_at_once`; as it is: [`cue`] |
//! | `…_with_include_spec.sh`, `…_objectmeta.sh` | both | [`inputs`], in Rego; as they are: [`cue`] |
//! | `…_with_include_typemeta.sh` | both; the second is vacuous there | the same; Pods have a kind here |
//! | `trustroot_bring_own_keys.sh` | both, the TrustRoot after its policy | [`trust_roots`] `bring_own_keys` |
//! | `trustroot_remote.sh`, `trustroot_repository.sh` | all | [`trust_roots`] `remote`, `repository` |
//! | `…_with_tsa.sh` | both | [`trust_roots`] `tsa` |
//! | `trustroot_crd.sh` | the ConfigMap that is compiled | not asked: there is none here. What the keys of a TrustRoot become: `tests/trust_roots/keys.rs` |
//! | `…_with_warn.sh` | all | [`modes`] `with_warn` |
//! | `…_scalable.sh` | all but the label of the namespace, which is the chart's | [`modes`] `scalable` |
//! | `policy_controller.sh` | no policy: denied, admitted by the ConfigMap | [`modes`] `policy_controller` |
//! | | a namespace that is labelled not to be asked about | the chart's: `tests/chart/webhooks.rs` |
//! | `policy_crd.sh` | `invalid/*.yaml`, `valid/*.yaml` | [`policy_crd`]; the files themselves: `tests/lint.rs`, `tests/policy_inputs/applied.rs` |
//! | | `empty-authorities/*.yaml` | `tests/cluster_watch/settings.rs`: `a_policy_without_authorities_may_be_stored_and_denies_what_it_matches` |
//! | `policy-tester-examples.yml` | all | [`policy_tester`], by `vouchsafe verify`; the public Sigstore is ours |
//!
//! [`tables`] has the decision tables of its unit tests that no other suite has. Elsewhere are: globs (`tests/globs.rs`), references
//! (`tests/references.rs`), what is pinned (`tests/tags`), deletion, scaling and status (`tests/hostile/objects.rs`), deadlines
//! (`tests/hostile/deadlines.rs`), which root and log an authority asks (`tests/keyless/transparency.rs`), attestations that refer to an image
//! (`tests/bundles.rs`), trust roots (`tests/trust_roots.rs`), policies that are refused (`tests/lint.rs`).
//!
//! Policies in CUE are here twice: as they are, where they are accepted with a warning and deny what they match, and in Rego, with the
//! outcome of the script. In the one script that asks the internet for another repository, that repository is in the same registry.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "scenarios/attestations.rs"]
mod attestations;
#[path = "scenarios/cluster_image_policy.rs"]
mod cluster_image_policy;
#[path = "scenarios/cue.rs"]
mod cue;
#[path = "scenarios/inputs.rs"]
mod inputs;
#[path = "scenarios/modes.rs"]
mod modes;
#[path = "scenarios/no_tuf.rs"]
mod no_tuf;
#[path = "scenarios/policy_crd.rs"]
mod policy_crd;
#[path = "scenarios/policy_tester.rs"]
mod policy_tester;
#[path = "support/sigstore/mod.rs"]
mod sigstore;
#[path = "scenarios/source.rs"]
mod source;
#[path = "scenarios/stage.rs"]
mod stage;
#[path = "scenarios/tables.rs"]
mod tables;
#[path = "scenarios/trust_roots.rs"]
mod trust_roots;
