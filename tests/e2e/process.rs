//! Programs: run to their end within a bound, or running until they are dropped.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// No program that ends takes longer than this.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often is looked whether one has ended.
const GLANCE: Duration = Duration::from_millis(10);

/// What a program said before it ended.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A program that runs until it is stopped or dropped.
pub(crate) struct Background(Child);

/// Runs a program to its end.
pub(crate) fn finish(command: &mut Command) -> Finished {
    // Files instead of pipes: nothing blocks on a full one while nobody reads.
    let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    command
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(err.try_clone().unwrap());
    let mut running = Background::start(command);
    let status = running.ended_within(PATIENCE);
    let status = status.unwrap_or_else(|| panic!("{command:?} did not end in {PATIENCE:?}"));
    Finished {
        status,
        stdout: text(out),
        stderr: text(err),
    }
}

/// Runs a program that must succeed, and gives what it printed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let done = finish(command);
    assert!(
        done.status.success(),
        "{command:?} failed:\n{}",
        done.stderr
    );
    done.stdout
}

fn text(mut file: File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

// === impl Background ===

impl Background {
    /// Starts a program.
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}")))
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Waits for its end; `None` when it still runs after that time.
    pub(crate) fn ended_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        loop {
            match self.0.try_wait().unwrap() {
                Some(status) => return Some(status),
                None if Instant::now() >= until => return None,
                None => std::thread::sleep(GLANCE),
            }
        }
    }

    /// Asks it to end, as a kubelet does.
    pub(crate) fn terminate(&self) {
        let id = self.0.id().to_string();
        succeed(Command::new("kill").args(["-TERM", &id]));
    }

    /// Its standard output, where that was piped; once.
    pub(crate) fn stdout(&mut self) -> std::process::ChildStdout {
        self.0.stdout.take().unwrap()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}
