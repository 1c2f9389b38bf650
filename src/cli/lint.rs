//! `vouchsafe lint`: every check that a cluster makes when a policy is applied, on files.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use super::output::{LINE_BYTES, Output, lines};
use super::{Exit, note};
use crate::adapters::files::{self, Cause, Documents, Origin};
use crate::app::kinds;
use crate::app::referents::referents;
use crate::apply::{self, Finding, Severity, Surroundings};
use crate::explain::printable_line;

/// Arguments of `lint`.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes:
  0  every resource would be accepted; warnings are printed
  2  a resource would be refused, or a file cannot be read (with --strict: or there is a warning)

Examples:
  vouchsafe lint policies/
  vouchsafe lint --strict policies/release.yaml trust/
  vouchsafe lint --kinds kinds.yaml policies/
  vouchsafe lint -o json policies/ | jq '.resources[] | select(.refusal)'

A refusal is worded as the cluster words it. A warning is about a policy that is accepted and weaker
than it looks, or that asks for what this version does not implement: it denies what it matches.")]
pub(super) struct LintArgs {
    /// A file or folder with ClusterImagePolicy and TrustRoot documents (YAML or JSON)
    #[arg(value_name = "PATH", required_unless_present = "kinds")]
    paths: Vec<PathBuf>,

    /// A file with custom resources that run images, as `serve --kinds` takes it (docs/kinds.md)
    #[arg(long, value_name = "FILE", env = "VOUCHSAFE_KINDS")]
    kinds: Option<PathBuf>,

    /// Refuse what there are warnings about
    #[arg(long)]
    strict: bool,

    /// The namespace of the webhook, the only one whose Secrets it reads
    #[arg(long, value_name = "NAMESPACE", default_value = apply::DEFAULT_NAMESPACE, env = "VOUCHSAFE_NAMESPACE")]
    namespace: String,

    /// How findings are written: one line each and its details below, or as vouchsafe.lint/v1
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// What `-o json` prints. Fields are only added within v1.
#[derive(Serialize)]
struct Report {
    schema: &'static str,
    /// Resources in the order of files and documents.
    resources: Vec<Resource>,
    /// Files and documents that could not be read as resources.
    unreadable: Vec<Unreadable>,
}

/// One resource and what was found in it.
#[derive(Serialize)]
struct Resource {
    file: String,
    /// The line on which its document begins, from 1.
    line: u64,
    kind: &'static str,
    name: String,
    /// What the API server would answer, if it would refuse the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    findings: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    severity: &'static str,
    message: String,
    fields: Vec<String>,
    details: String,
}

#[derive(Serialize)]
struct Unreadable {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    message: String,
}

pub(super) fn run(args: &LintArgs) -> anyhow::Result<Exit> {
    let (documents, problems) = files::read_each(&args.paths);
    let report = Report {
        schema: "vouchsafe.lint/v1",
        resources: resources(&documents, &args.namespace),
        unreadable: problems.iter().map(unreadable).collect(),
    };
    args.output.write(&report, text)?;
    note(&summary(&report));
    kinds::read(args.kinds.as_deref())?;
    let is_empty = report.resources.is_empty() && report.unreadable.is_empty();
    if is_empty && args.kinds.is_none() {
        let paths: Vec<_> = args
            .paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        bail!(
            "there is no ClusterImagePolicy and no TrustRoot in {}: name the folder or the files that hold them",
            paths.join(", ")
        );
    }
    Ok(exit(&report, args.strict))
}

fn resources(documents: &Documents, namespace: &str) -> Vec<Resource> {
    let referents = referents(&documents.objects(), namespace);
    let policies = documents.policies.iter().map(|policy| {
        let around = Surroundings::Partly(&referents);
        let found = apply::check_policy(&policy.value, namespace, around);
        let name = policy.value.metadata.name.as_deref();
        resource(&policy.origin, "ClusterImagePolicy", name, &found)
    });
    let roots = documents.trust_roots.iter().map(|root| {
        let found = apply::check_trust_root(&root.value);
        let name = root.value.metadata.name.as_deref();
        resource(&root.origin, "TrustRoot", name, &found)
    });
    let mut all: Vec<Resource> = policies.chain(roots).collect();
    all.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    all
}

fn resource(
    origin: &Origin,
    kind: &'static str,
    name: Option<&str>,
    findings: &[Finding],
) -> Resource {
    Resource {
        file: origin.file.display().to_string(),
        line: origin.line,
        kind,
        name: name.unwrap_or_default().to_owned(),
        refusal: apply::refusal(findings),
        findings: findings.iter().map(entry).collect(),
    }
}

fn entry(finding: &Finding) -> Entry {
    Entry {
        severity: match finding.severity {
            Severity::Refused => "refused",
            Severity::Warning => "warning",
        },
        message: finding.problem.message().to_owned(),
        fields: finding.problem.fields().to_vec(),
        details: finding.problem.details().to_owned(),
    }
}

/// What the API server would say to a document that is no resource; to a file that is none, what the reader says.
fn unreadable(problem: &files::Problem) -> Unreadable {
    let message = match &problem.cause {
        Cause::Decode { kind, name, error } => {
            format!("{kind} {name}: {}", apply::undecodable(error))
        }
        cause => cause.to_string(),
    };
    Unreadable {
        file: problem.file.display().to_string(),
        line: problem.position.map(|position| position.line),
        message,
    }
}

fn text(report: &Report) -> String {
    let unreadable = report.unreadable.iter().map(unreadable_text);
    let findings = report.resources.iter().flat_map(|resource| {
        let findings = resource.findings.iter();
        findings.map(|entry| finding_text(resource, entry))
    });
    unreadable.chain(findings).collect()
}

fn unreadable_text(unreadable: &Unreadable) -> String {
    let line = unreadable
        .line
        .map_or_else(String::new, |line| format!(":{line}"));
    let message = printable_line(&unreadable.message, LINE_BYTES);
    format!("{}{line}: refused: {message}\n", unreadable.file)
}

/// One line, and one more for each line of details.
fn finding_text(resource: &Resource, entry: &Entry) -> String {
    let prefix = match entry.severity {
        "refused" => "validation failed: ",
        _ => "",
    };
    let Resource {
        file,
        line,
        kind,
        name,
        ..
    } = resource;
    let what = format!("{prefix}{}: {}", entry.message, entry.fields.join(", "));
    let what = printable_line(&what, LINE_BYTES);
    format!(
        "{file}:{line}: {kind} {name}: {}: {what}\n{}",
        entry.severity,
        lines("    ", entry.details.lines())
    )
}

/// How many resources, and what became of them.
fn summary(report: &Report) -> String {
    let count = |wanted: fn(&Resource) -> bool| {
        report
            .resources
            .iter()
            .filter(|resource| wanted(resource))
            .count()
    };
    let refused = count(|resource| resource.refusal.is_some());
    let warned = count(|resource| resource.refusal.is_none() && !resource.findings.is_empty());
    format!(
        "checked: {}, refused: {refused}, accepted with warnings: {warned}, unreadable: {}",
        report.resources.len(),
        report.unreadable.len()
    )
}

fn exit(report: &Report, strict: bool) -> Exit {
    let is_refused =
        |resource: &Resource| resource.refusal.is_some() || strict && !resource.findings.is_empty();
    if report.unreadable.is_empty() && !report.resources.iter().any(is_refused) {
        Exit::Success
    } else {
        Exit::Usage
    }
}
