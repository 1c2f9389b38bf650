//! What is tried, in this order.

mod absence;
mod certificates;
mod chains;
mod changes;
mod install;
mod keyless;
mod migration;
mod outages;
mod policies;
mod stand_in;
mod workloads;

use libtest_mimic::Trial;

use crate::cluster;
use crate::process::Finished;
use crate::tools;

/// All trials.
pub(crate) fn all() -> Vec<Trial> {
    let mut trials = stand_in::trials();
    trials.extend(install::trials());
    trials.extend(keyless::trials());
    trials.extend(chains::trials());
    trials.extend(workloads::trials());
    trials.extend(policies::trials());
    trials.extend(changes::trials());
    trials.extend(absence::trials());
    trials.extend(outages::trials());
    trials.extend(certificates::trials());
    // Last: it begins anew.
    trials.extend(migration::trials());
    trials
}

/// A trial in the cluster.
fn trial(name: &str, run: impl FnOnce() + Send + 'static) -> Trial {
    tools::trial(name, &cluster::needs(), run)
}

/// kubectl must say that our webhook denied it, in these words.
fn denied(said: &Finished, phrase: &str) {
    let text = &said.stderr;
    assert!(!said.status.success(), "{}", said.stdout);
    let who = "admission webhook \"policy.sigstore.dev\" denied the request: validation failed: ";
    assert!(text.contains(who), "{text}");
    assert!(text.contains(phrase), "{phrase:?} not in {text}");
}
