//! The cluster for a person: from nothing to the first denial, and then left running.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cluster::{self, Cluster};
use crate::process::Finished;
use crate::tools;

/// Set by `tests/cluster/playground`.
const PLAYGROUND: &str = "VOUCHSAFE_CLUSTER_PLAYGROUND";

/// Whether a person wants to play.
pub(crate) fn is_wanted() -> bool {
    std::env::var_os(PLAYGROUND).is_some()
}

/// Opens it, and waits until it is closed. `outside` is the process outside which shares our network.
pub(crate) fn open(outside: u32) -> ExitCode {
    println!("starting the cluster, the registry and the images …");
    cluster::bare();
    println!("installing the chart …");
    let cluster = cluster::installed();
    let images = cluster.images();

    for (what, image) in [("signed", &images.signed), ("unsigned", &images.unsigned)] {
        println!(
            "\n--- {what}\n$ kubectl run try --image={} --dry-run=server",
            image.by_tag
        );
        show(&cluster.try_to_run("default", &image.by_tag));
    }
    let enter = wrapper(cluster, outside);
    println!("
It runs until Ctrl-C, in a network of its own. From another terminal, as root:

  {enter} kubectl get clusterimagepolicies
  {enter} kubectl run app --image={signed}
  {enter} kubectl run app2 --image={unsigned}
  {enter} kubectl -n cosign-system get pods -o wide
  {enter} helm -n cosign-system list
  {enter} crane ls {host}/t/signed
  {enter} cosign sign --key {folder}/release.key --use-signing-config=false --tlog-upload=false -y {digest}
  {enter} bash

Namespaces with the label policy.sigstore.dev/include=true are covered; default has it. Logs of Pods: {pods}/*/*.log
",
        enter = enter.display(),
        signed = images.signed.by_tag,
        unsigned = images.unsigned.by_tag,
        digest = images.unsigned.by_digest,
        host = cluster.stage().host(),
        folder = cluster.stage().path("").display(),
        pods = cluster.folder().join("pods").display(),
    );
    loop {
        std::thread::park();
    }
}

fn show(said: &Finished) {
    print!("{}{}", said.stdout, said.stderr);
}

/// A program that runs others in the cluster's network, with its kubeconfig and the tools.
fn wrapper(cluster: &Cluster, outside: u32) -> PathBuf {
    let file = cluster.folder().join("in");
    let text = format!(
        "#!/bin/sh\nexport PATH={tools}:$PATH KUBECONFIG={kubeconfig} COSIGN_PASSWORD= \nexec nsenter --net=/proc/{outside}/ns/net \"$@\"\n",
        tools = tools::folder().display(),
        kubeconfig = cluster.kubeconfig().display(),
    );
    std::fs::write(&file, text).unwrap();
    let runs = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(Path::new(&file), runs).unwrap();
    file
}
