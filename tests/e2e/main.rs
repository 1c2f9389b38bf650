//! The second ring of tests: real signing tools, real registries, and the program as it is built.
//!
//! In come the tools that `tests/tools/install` builds (crane, cosign 3, cosign 2, olareg, distribution 3 and 2, oras) and the binary; out comes
//! a verdict per trial. Everything runs on loopback ports and in temporary folders. A trial whose tool is missing is counted as
//! ignored and says which command installs it; with `CI=true` it fails.
//!
//! | file | what |
//! |---|---|
//! | `tools` | where the tools are, and trials that need some of them |
//! | `process` | programs that run to their end, and programs that run until they are dropped |
//! | `registries` | olareg and distribution, with and without credentials |
//! | `stage` | a working folder: keys, images, signatures, policies, and `vouchsafe verify` |
//! | `signers` | every case × cosign 2 and 3 × tags and bundles × olareg, distribution 3 and 2; an SBOM beside them |
//! | `tls` | a registry with an authority of its own, which wants a client certificate |
//! | `credentials` | a registry that asks who we are |
//! | `outages` | a registry that is gone |
//! | `recordings` | the same verdicts from a recording, without a registry |
//! | `blobs` | what the tests' own Sigstore makes, before cosign 3 |
//! | `private` | a whole Sigstore of real parts: Fulcio, stamps, Rekor |
//! | `chart` | the Helm chart: linted, rendered, held to the OpenAPI of Kubernetes |
//! | `webhook` | the same images through `vouchsafe serve`, over HTTPS |

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a trial fails by panicking, and the harness reports it"
)]

mod blobs;
mod chart;
mod credentials;
mod outages;
mod private;
mod process;
mod recordings;
mod registries;
mod signers;
mod stage;
mod tls;
mod tools;
mod webhook;

#[path = "../support/sigstore/mod.rs"]
mod sigstore;

use std::net::Ipv4Addr;
use std::process::ExitCode;

use libtest_mimic::Arguments;

/// Where registries listen.
const REACHABLE: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn main() -> ExitCode {
    // One program for the whole run, also when it is built anew meanwhile.
    let folder = tempfile::tempdir().unwrap();
    stage::take_program(folder.path());
    let mut trials = signers::trials();
    trials.extend(blobs::trials());
    trials.extend(credentials::trials());
    trials.extend(tls::trials());
    trials.extend(private::trials());
    trials.extend(outages::trials());
    trials.extend(recordings::trials());
    trials.extend(webhook::trials());
    trials.extend(chart::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
