//! `vouchsafe test`: the cases beside policies, judged without a network.

mod discover;
mod report;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::time::Instant;

use super::progress::Progress;
use super::{Exit, colour_on_stdout, print, style};
use crate::app::cases::run as run_case;
use crate::cases::{self, Case};

use discover::discover;
use report::{CaseReport, Counts, FileReport};

/// The largest file of cases, in bytes.
const FILE_BYTES: u64 = 1 << 20;

/// Arguments of `test`.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes:
  0  every case came out as it expects
  1  a case came out otherwise, or its evidence does not say enough
  2  there is no case, or a file, a policy or a recording cannot be used

Cases in vouchsafe-test.yaml, beside the policies that they are about:
  cases:
    - name: what a stranger signed is denied
      image: registry.example.com/shop/cart:1.4
      verdict: deny
      reason: untrusted-signer
    - name: the provenance of another builder is refused
      statement: statements/elsewhere.statement
      verdict: deny
      message: not by https://tekton.dev/chains/v2

Examples:
  vouchsafe test policies/
  vouchsafe test --filter stranger --junit report.xml policies/
  vouchsafe verify --policies policies/ --record cases/cart registry.example.com/shop/cart:1.4
  vouchsafe test cases/cart

No registry is asked: an image is judged by what verify --record has written into the folder
vouchsafe-evidence, and a statement is given to Rego as if it had been signed. Every field of a
case is described in docs/test.md.")]
pub(super) struct TestArgs {
    /// Files of cases, and folders in which every vouchsafe-test.yaml is run
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,

    /// Run only the cases whose name, or the path of whose file, contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,

    /// Write the result as JUnit XML into this file, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

pub(super) async fn run(args: TestArgs) -> anyhow::Result<Exit> {
    let files = discover(&args.paths)?;
    let mut reports = Vec::new();
    for path in files {
        if let Some(report) = file(path, args.filter.as_deref()).await {
            print(&report::text(&report, colour_on_stdout()))?;
            reports.push(report);
        }
    }
    if let Some(junit) = &args.junit {
        write_junit(junit, &reports)?;
    }
    let counts = Counts::of(&reports);
    if reports.is_empty() {
        bail!("{}", nothing_to_run(&args));
    }
    print(&counts.summary())?;
    Ok(match counts {
        Counts { broken: 1.., .. } => Exit::Usage,
        Counts { failed: 1.., .. } => Exit::Deny,
        Counts { .. } => Exit::Success,
    })
}

/// Runs the cases of a file that are wanted; `None` when none is.
async fn file(path: PathBuf, filter: Option<&str>) -> Option<FileReport> {
    let cases = match read(&path) {
        Ok(cases) => cases,
        Err(why) => {
            return Some(FileReport {
                path,
                cases: Err(why),
            });
        }
    };
    let shown = path.display().to_string();
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut ran = Vec::new();
    for case in cases {
        let wanted = filter.is_none_or(|text| case.name.contains(text) || shown.contains(text));
        if wanted {
            ran.push(one(case, &folder).await);
        }
    }
    (!ran.is_empty()).then_some(FileReport {
        path,
        cases: Ok(ran),
    })
}

async fn one(case: Case, folder: &Path) -> CaseReport {
    let _progress = Progress::start(format!("running {}", case.name));
    let started = Instant::now();
    let ended = run_case(&case, folder, style()).await;
    CaseReport {
        name: case.name,
        line: case.line,
        ended,
        took: started.elapsed(),
    }
}

/// The cases of a file, or why there are none, with the place where it is known.
fn read(path: &Path) -> Result<Vec<Case>, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_BYTES {
        return Err(format!("is larger than {FILE_BYTES} bytes; split it"));
    }
    let cases = cases::read(&text).map_err(|error| match error.position {
        Some((line, column)) => format!("line {line}, column {column}: {error}"),
        None => error.to_string(),
    })?;
    if cases.is_empty() {
        return Err("holds no case".to_owned());
    }
    Ok(cases)
}

fn nothing_to_run(args: &TestArgs) -> String {
    let paths: Vec<String> = args
        .paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let paths = paths.join(", ");
    match &args.filter {
        Some(filter) => {
            format!("no case in {paths} has {filter:?} in its name or in the path of its file")
        }
        None => format!(
            "no case found in {paths}: cases are written in a file vouchsafe-test.yaml beside the policies, see vouchsafe test --help"
        ),
    }
}

fn write_junit(path: &Path, reports: &[FileReport]) -> anyhow::Result<()> {
    let mut text = report::junit(reports)
        .to_string()
        .context("cannot write JUnit XML")?;
    text.push('\n');
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
