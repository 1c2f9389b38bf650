//! `vouchsafe migrate`: the way over from sigstore/policy-controller.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use super::output::{LINE_BYTES, Output, lines};
use super::progress::Progress;
use super::{Exit, colour_on_stdout, note};
use crate::adapters::cluster::Cluster;
use crate::adapters::files;
use crate::apply::DEFAULT_NAMESPACE;
use crate::explain::printable_line;
use crate::migrate::{self, Counts, Finding, Severity, Target};

/// The most that is read of standard input, in bytes.
const BYTES: u64 = 16 << 20;

/// Arguments of `migrate`.
#[derive(Args, Debug)]
pub(super) struct MigrateArgs {
    #[command(subcommand)]
    command: MigrateCommand,
}

#[derive(Subcommand, Debug)]
enum MigrateCommand {
    /// What Vouchsafe would judge otherwise than policy-controller, and what would be lost
    Check(CheckArgs),
}

/// Arguments of `migrate check`.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes:
  0  nothing stands in the way; what changes is printed
  1  something needs a decision before Vouchsafe enforces, or before policy-controller is removed
  2  something could not be read, or the command line cannot be used

Examples:
  vouchsafe migrate check
  vouchsafe migrate check --kubeconfig staging.yaml --namespace cosign-system
  kubectl get cip,trustroot,crd,ns -o yaml | vouchsafe migrate check -
  vouchsafe migrate check -o json policies/ | jq '.findings[] | select(.severity == \"blocks\")'

Nothing is changed. A look at a cluster needs the right to list ClusterImagePolicies, TrustRoots,
their definitions, webhook configurations and namespaces, and the ConfigMaps and Leases of
policy-controller's namespace. The whole way over is in docs/migrate.md.")]
struct CheckArgs {
    /// Files and folders with the objects of an installation (YAML or JSON), instead of a cluster; `-` is standard input
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// How the cluster is reached where no PATH is given; without it $KUBECONFIG, ~/.kube/config, or the service account of the Pod that this runs in
    #[arg(long, value_name = "FILE", env = "VOUCHSAFE_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,

    /// The namespace of policy-controller, in which Vouchsafe will be installed
    #[arg(long, value_name = "NAMESPACE", default_value = DEFAULT_NAMESPACE, env = "VOUCHSAFE_NAMESPACE")]
    namespace: String,

    /// The name of the Helm release that Vouchsafe will be
    #[arg(long, value_name = "NAME", default_value = "vouchsafe")]
    release: String,

    /// How findings are written: each with what to do about it, or as vouchsafe.migrate/v1
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// What `-o json` prints. Fields are only added within v1.
#[derive(Serialize)]
struct Report {
    schema: &'static str,
    /// How many objects of each kind were looked at.
    looked_at: Counts,
    /// In the order of their severity, then of their objects.
    findings: Vec<Finding>,
    /// What could not be read.
    unread: Vec<String>,
}

pub(super) async fn run(args: MigrateArgs) -> anyhow::Result<Exit> {
    let MigrateCommand::Check(args) = args.command;
    let (objects, unread) = objects(&args).await?;
    let target = Target {
        namespace: args.namespace,
        release: args.release,
    };
    let (findings, looked_at) = migrate::check(&objects, &target);
    let report = Report {
        schema: "vouchsafe.migrate/v1",
        looked_at,
        findings,
        unread,
    };
    let colored = |report: &Report| text(report, colour_on_stdout());
    args.output.write(&report, colored)?;
    note(&summary(&report));
    Ok(exit(&report))
}

/// What there is to look at, and what could not be read, in words.
async fn objects(args: &CheckArgs) -> anyhow::Result<(Vec<Value>, Vec<String>)> {
    if args.paths.is_empty() {
        return in_cluster(args).await;
    }
    let (piped, named): (Vec<_>, Vec<_>) = args
        .paths
        .iter()
        .cloned()
        .partition(|path| path == Path::new("-"));
    let (mut objects, problems) = files::read_objects(&named);
    let mut unread: Vec<String> = problems.iter().map(ToString::to_string).collect();
    if !piped.is_empty() {
        match files::objects_of(Path::new("standard input"), &standard_input()?) {
            Ok(found) => objects.extend(found),
            Err(problem) => unread.push(problem.to_string()),
        }
    }
    if objects.is_empty() && unread.is_empty() {
        bail!(
            "there is no object in what was named: give ClusterImagePolicies and TrustRoots, as kubectl get -o yaml writes them"
        );
    }
    Ok((objects, unread))
}

fn standard_input() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .take(BYTES + 1)
        .read_to_string(&mut text)
        .context("cannot read standard input")?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > BYTES {
        bail!("standard input is larger than {BYTES} bytes");
    }
    Ok(text)
}

async fn in_cluster(args: &CheckArgs) -> anyhow::Result<(Vec<Value>, Vec<String>)> {
    let kubeconfig = args.kubeconfig.clone().or_else(usual_kubeconfig);
    let cluster = Cluster::connect(kubeconfig.as_deref(), &args.namespace)
        .await
        .context("cannot reach a cluster; name files to look at them instead")?;
    let _progress = Progress::start("reading the cluster".to_owned());
    let found = cluster.installation().await;
    let unread = found.unread.iter().map(ToString::to_string).collect();
    Ok((found.objects, unread))
}

/// Where kubectl looks: `$KUBECONFIG` if it names one file, else `~/.kube/config` if it is there.
fn usual_kubeconfig() -> Option<PathBuf> {
    let named = std::env::var_os("KUBECONFIG").filter(|named| !named.is_empty());
    if let Some(named) = named {
        return std::env::split_paths(&named).next();
    }
    let home = std::env::var_os("HOME")?;
    let usual = Path::new(&home).join(".kube/config");
    usual.is_file().then_some(usual)
}

/// Each finding with its steps below it, and then what could not be read.
fn text(report: &Report, color: bool) -> String {
    let findings = report.findings.iter().map(|finding| {
        let Finding {
            kind,
            name,
            field,
            message,
            action,
            ..
        } = finding;
        let (word, code) = match finding.severity {
            Severity::Blocks => ("BLOCKS ", 31),
            Severity::Changes => ("CHANGES", 33),
            Severity::Note => ("NOTE   ", 36),
        };
        let word = if color {
            format!("\u{1b}[{code}m{word}\u{1b}[0m")
        } else {
            word.to_owned()
        };
        let object = match field.as_str() {
            "" => format!("{kind} {name}"),
            field => format!("{kind} {name}: {field}"),
        };
        format!(
            "{word}  {}\n{}{}",
            printable_line(&object, LINE_BYTES),
            lines("           ", [message.as_str()]),
            lines("           do  ", action.iter().map(String::as_str))
        )
    });
    let unread = report.unread.iter().map(String::as_str);
    findings.chain([lines("UNREAD   ", unread)]).collect()
}

fn summary(report: &Report) -> String {
    let count = |severity: Severity| {
        report
            .findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let kind = |kind: &str| report.looked_at.get(kind).copied().unwrap_or_default();
    format!(
        "looked at: {} ClusterImagePolicies, {} TrustRoots, {} objects in all; blocks: {}, changes: {}, notes: {}, unread: {}",
        kind("ClusterImagePolicy"),
        kind("TrustRoot"),
        report.looked_at.values().sum::<usize>(),
        count(Severity::Blocks),
        count(Severity::Changes),
        count(Severity::Note),
        report.unread.len()
    )
}

fn exit(report: &Report) -> Exit {
    let blocks = |finding: &Finding| finding.severity == Severity::Blocks;
    if !report.unread.is_empty() {
        Exit::Usage
    } else if report.findings.iter().any(blocks) {
        Exit::Deny
    } else {
        Exit::Success
    }
}
