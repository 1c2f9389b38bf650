//! The webhook as a process of its own, so that what it takes of memory is its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::webhook::{Answered, Caller, Review};

/// A running `vouchsafe serve`; ended when it is dropped.
pub(crate) struct Process {
    child: Child,
    caller: Caller,
    _folder: TempDir,
}

// === impl Process ===

impl Process {
    /// Starts one with these policies (YAML).
    pub(crate) fn start(policies: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (file, authority) = (
            folder.path().join("policies.yaml"),
            folder.path().join("ca.pem"),
        );
        std::fs::write(&file, policies).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_vouchsafe"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VOUCHSAFE_")) {
            command.env_remove(name);
        }
        command.arg("serve").arg("--policies").arg(&file);
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command
            .args(["--stop-delay", "0", "--ca-out"])
            .arg(&authority);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening ").expect(&line);
        let caller = Caller::new(url, &authority);
        Self {
            child,
            caller,
            _folder: folder,
        }
    }

    /// Asks it.
    pub(crate) async fn review(&self, review: &Review) -> Answered {
        self.caller.review(review).await
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: u64 = line
            .and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
            .unwrap();
        kib * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which its test has noticed then.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}
