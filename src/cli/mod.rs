//! The command line: one file per command.
//!
//! Results go to standard output, progress and errors to standard error. Exit codes are a contract: 0 admit, 1 deny, 2 usage or a
//! policy that does not compile, 3 nothing denied and something that could not be judged. `lint`, `test` and `migrate check` say in
//! their help what 1 and 2 mean there.

mod completion;
mod crds;
mod demo;
mod lint;
mod manifest;
mod migrate;
mod output;
mod pod_review;
mod probe;
mod progress;
mod record;
mod serve;
mod shared_certificate;
mod test;
mod verify;
mod verify_bundle;

use std::io::{IsTerminal, stderr, stdout};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::explain::Style;

/// Admits container images only when somebody your policies trust has vouched for exactly those bytes.
#[derive(Parser, Debug)]
#[command(
    name = "vouchsafe",
    version,
    propagate_version = true,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(
    after_help = "Start here:\n  vouchsafe demo                                          see it work, nothing else needed\n  vouchsafe verify --policies policies/ IMAGE             judge an image on your desk\n  vouchsafe lint policies/                                check policies before a cluster sees them\n  vouchsafe test policies/                                run the cases that stand beside them\n  helm template . | vouchsafe verify -f - --policies p/   judge whole manifests"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the admission webhook
    Serve(Box<serve::ServeArgs>),
    /// Judge images or whole manifests, and explain every step
    Verify(Box<verify::VerifyArgs>),
    /// Judge one sigstore bundle over a file or digest
    VerifyBundle(verify_bundle::VerifyBundleArgs),
    /// Check policies: what would be refused, and what is weaker than it looks
    Lint(lint::LintArgs),
    /// Change over from sigstore/policy-controller: what differs, and what to do before
    Migrate(migrate::MigrateArgs),
    /// Run the cases beside policies, on recorded evidence and without a network
    Test(test::TestArgs),
    /// See it work: an embedded registry, the real webhook, and what kubectl would show
    Demo(demo::DemoArgs),
    /// Ask a webhook that runs, and say whether it answers as it must
    Probe(probe::ProbeArgs),
    /// Print the custom resource definitions
    Crds,
    /// Print a script that completes commands and flags in a shell
    Completion(completion::CompletionArgs),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Nothing is wrong: what was judged is admitted.
    Success,
    /// Something was denied.
    Deny,
    /// The command was not used as it can be, or a policy does not compile.
    Usage,
    /// Nothing was denied, and something could not be judged.
    Unknown,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Deny => 1,
            Exit::Usage => 2,
            Exit::Unknown => 3,
        })
    }
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What went wrong, with its causes: printed by `main`, exit code 2.
    pub async fn run(self) -> anyhow::Result<Exit> {
        match self.command {
            Command::Serve(args) => serve::run(*args).await,
            Command::Verify(args) => verify::run(*args).await,
            Command::VerifyBundle(args) => verify_bundle::run(&args),
            Command::Lint(args) => lint::run(&args),
            Command::Migrate(args) => migrate::run(args).await,
            Command::Test(args) => test::run(args).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Probe(args) => probe::run(args).await,
            Command::Crds => crds::run(),
            Command::Completion(args) => completion::run(&args),
        }
    }
}

/// Whether colours are wanted on standard output.
fn colour_on_stdout() -> bool {
    stdout().is_terminal() && wants_colour()
}

/// Whether colours are wanted on standard error.
fn colour_on_stderr() -> bool {
    stderr().is_terminal() && wants_colour()
}

/// <https://no-color.org>: any value but an empty one switches colours off.
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// How verdicts are drawn on standard output.
fn style() -> Style {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok())
        .unwrap_or(100);
    Style {
        color: colour_on_stdout(),
        width: if stdout().is_terminal() {
            columns
        } else {
            usize::MAX
        },
    }
}

/// Writes a result to standard output. A reader that has gone away is not an error: `vouchsafe verify … | head`.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match stdout()
        .write_all(text.as_bytes())
        .and_then(|()| stdout().flush())
    {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes a note to standard error.
fn note(text: &str) {
    use std::io::Write;
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(stderr(), "{text}");
}
