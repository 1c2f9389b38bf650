//! The second ring of tests, in a cluster: the chart on a real API server, reached through its Service, and what kubectl prints.
//!
//! In come etcd, kube-apiserver, kube-controller-manager, kubectl, Helm, cosign, crane, olareg and a private Sigstore as they are released,
//! the chart, and the program as it is built; out comes a verdict per trial. All of it runs in namespaces of its own, with no way out. There is no kubelet
//! and no container engine: a stand-in runs what the chart's Deployment asks for.
//!
//! The trials share one cluster and run one after the other, those that break things late. `tests/cluster/playground` starts the same
//! cluster for a person, and leaves it running.
//!
//! | file | what |
//! |---|---|
//! | `isolation` | namespaces of our own, in which this program starts itself again |
//! | `network` | a bridge, and a network for each Pod of ours |
//! | `control_plane` | etcd, API server, controllers |
//! | `api` | the API server over HTTP |
//! | `kubelet` | what runs Pods |
//! | `cluster` | all of these together: kubectl, Helm, images, the chart installed |
//! | `load` | calls by the thousand, of which none may fail |
//! | `playground` | the cluster for a person |
//! | `trials` | what is tried |

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a trial fails by panicking, and the harness reports it; the playground talks to a person"
)]

mod api;
mod cluster;
mod control_plane;
mod isolation;
mod kubelet;
mod load;
mod network;
mod playground;
mod trials;

#[allow(dead_code, reason = "the other suite uses all of it")]
#[path = "../e2e/process.rs"]
mod process;
#[allow(dead_code, reason = "the other suite uses all of it")]
#[path = "../e2e/registries.rs"]
mod registries;
#[allow(dead_code, reason = "the other suite uses all of it")]
#[path = "../e2e/stage.rs"]
mod stage;
#[path = "../e2e/tools.rs"]
mod tools;

use std::net::Ipv4Addr;
use std::process::ExitCode;

use isolation::Place;
use libtest_mimic::{Arguments, Completion, Trial};

/// Where registries listen.
const REACHABLE: Ipv4Addr = network::HOST;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share a cluster, and some of them break it.
    arguments.test_threads = Some(1);
    let run = |trials| libtest_mimic::run(&arguments, trials).exit_code();
    match isolation::place() {
        _ if arguments.list => run(trials::all()),
        Place::Outside => isolation::go_inside(),
        Place::Barred(why) => run(barred(&why)),
        Place::Inside(outside) => {
            isolation::end_on_signals();
            let folder = isolation::folder();
            stage::take_program(&folder);
            cluster::settle(folder);
            if playground::is_wanted() {
                playground::open(outside)
            } else {
                run(trials::all())
            }
        }
    }
}

/// The trials where they cannot run: ignored in plain sight, and failures where that must not be.
fn barred(why: &str) -> Vec<Trial> {
    let barred = |trial: Trial| {
        let why = why.to_owned();
        Trial::ignorable_test(trial.name(), move || {
            if std::env::var("CI").is_ok_and(|ci| ci == "true") {
                return Err(why.into());
            }
            Ok(Completion::ignored_with(why))
        })
    };
    trials::all().into_iter().map(barred).collect()
}
