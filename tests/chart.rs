//! The Helm chart, as it is rendered.
//!
//! `tests/data/chart` holds what Helm makes of each `charts/vouchsafe/ci/*.yaml`. The second ring renders them anew and compares
//! (`tests/e2e/chart.rs`), so that this ring needs no Helm: it reads them, and holds them to the program.
//!
//! | file | what |
//! |---|---|
//! | `rendered` | the manifests, by kind and name |
//! | `webhooks` | rules, selectors and failure policies of the webhook configurations |
//! | `conditions` | what `matchConditions` keep away, against what the program judges |
//! | `requests` | the requests that both are asked about |
//! | `pods` | the Deployment: flags, security, probes, volumes |
//! | `rights` | what our service account may do |
//! | `values` | values, their schema and the definitions of resources |

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "chart/conditions.rs"]
mod conditions;
#[path = "chart/pods.rs"]
mod pods;
#[path = "chart/rendered.rs"]
mod rendered;
#[path = "chart/requests.rs"]
mod requests;
#[path = "chart/rights.rs"]
mod rights;
#[path = "chart/values.rs"]
mod values;
#[path = "chart/webhooks.rs"]
mod webhooks;
