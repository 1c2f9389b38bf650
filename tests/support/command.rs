//! The `vouchsafe` command as a user runs it: arguments and standard input in, exit code and both outputs out.
//!
//! Nothing of the surrounding environment reaches it: no settings, no proxy, no registry credentials.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A run of the command that is being put together.
pub struct Run {
    command: Command,
    input: Vec<u8>,
    /// The home directory: empty, and there as long as the run.
    _home: TempDir,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// `vouchsafe` with these arguments.
pub fn vouchsafe<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Run {
    let home = TempDir::new().expect("a temporary folder");
    let mut command = bare(home.path());
    command.args(arguments);
    Run {
        command,
        input: Vec::new(),
        _home: home,
    }
}

/// The binary with an environment of its own and without arguments.
pub fn bare(home: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vouchsafe"));
    command
        .env_clear()
        .env("HOME", home)
        .env("DOCKER_CONFIG", home);
    command
}

/// `verify --policies POLICIES` and these arguments.
pub fn verify<I: IntoIterator<Item: AsRef<OsStr>>>(policies: impl AsRef<OsStr>, rest: I) -> Run {
    let fixed = [
        "verify".into(),
        "--policies".into(),
        policies.as_ref().to_owned(),
    ];
    let rest = rest
        .into_iter()
        .map(|argument| argument.as_ref().to_owned());
    vouchsafe(fixed.into_iter().chain(rest).collect::<Vec<OsString>>())
}

// === impl Run ===

impl Run {
    /// With this environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// With this on standard input.
    #[must_use]
    pub fn input(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.input = text.into();
        self
    }

    /// Runs it to its end.
    pub fn end(mut self) -> Ended {
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the binary starts");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        // A command that ends before it has read everything closes the pipe, and that is its right.
        let _ = stdin.write_all(&self.input);
        drop(stdin);
        let output = child.wait_with_output().expect("the binary ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Ended {
            code: output.status.code().expect("it ends by itself"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

// === impl Ended ===

impl Ended {
    /// Standard output, which must be one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
