//! Namespaces of our own, in which the cluster runs: processes, mounts and network.
//!
//! The program starts itself again inside them. There is no way out of that network, and when its first process ends, everything that
//! it started is gone: processes, addresses and mounts.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::process::succeed;
use crate::tools;

/// Set for the program inside: the process outside whose network it is.
const INSIDE: &str = "VOUCHSAFE_CLUSTER_INSIDE";
/// A folder that is kept, instead of one that goes with the namespaces.
const FOLDER: &str = "VOUCHSAFE_CLUSTER_FOLDER";
/// Where namespaces of networks have their names, in a mount of our own.
const RUN: &str = "/run";
/// What is needed beside the tools that are installed.
const PROGRAMS: [&str; 6] = ["chroot", "ip", "mount", "nsenter", "setpriv", "unshare"];

/// Where this program runs.
pub(crate) enum Place {
    /// Inside; the process outside which shares our network.
    Inside(u32),
    /// Outside, and it may go inside.
    Outside,
    /// Outside, and it has to stay there: why.
    Barred(String),
}

/// Where we are.
pub(crate) fn place() -> Place {
    if let Ok(outside) = std::env::var(INSIDE) {
        return Place::Inside(outside.parse().unwrap());
    }
    let missing: Vec<&str> = PROGRAMS
        .into_iter()
        .filter(|name| program(name).is_none())
        .collect();
    if !missing.is_empty() {
        return Place::Barred(format!("not on this machine: {}", missing.join(" ")));
    }
    if is_root() || may_become_root() {
        return Place::Outside;
    }
    Place::Barred("needs root, for namespaces of its own".to_owned())
}

/// Becomes the same program with the same arguments, inside. Returns only when that fails.
pub(crate) fn go_inside() -> ExitCode {
    let mut command = if is_root() {
        Command::new("unshare")
    } else {
        let mut command = Command::new("sudo");
        command.args(["-n", "-E", "unshare"]);
        command
    };
    command
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child"])
        .args(["--mount-proc", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args(std::env::args_os().skip(1))
        // Root may have another home, and looks for programs elsewhere.
        .env("VOUCHSAFE_TOOLS", tools::folder())
        .env("PATH", search_path())
        .env(INSIDE, std::process::id().to_string());
    let error = command.exec();
    eprintln!("{command:?} cannot be started: {error}");
    ExitCode::FAILURE
}

/// The folder for everything of this run. Nothing outside sees it, unless somebody named one that is to be kept.
pub(crate) fn folder() -> PathBuf {
    succeed(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=755", "vouchsafe", RUN]));
    let named = std::env::var_os(FOLDER).map(PathBuf::from);
    let folder = named.unwrap_or_else(|| Path::new(RUN).join("vouchsafe"));
    for of_an_earlier_run in ["control-plane", "pods"] {
        // Not there, mostly.
        let _gone = std::fs::remove_dir_all(folder.join(of_an_earlier_run));
    }
    std::fs::create_dir_all(&folder).unwrap();
    folder.canonicalize().unwrap()
}

/// Ends the program, and with it everything inside, when a person or a machine asks for it. The first process of a namespace is not
/// ended by signals that it does not wait for.
pub(crate) fn end_on_signals() {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let mut terminate = signal(SignalKind::terminate()).unwrap();
            let mut interrupt = signal(SignalKind::interrupt()).unwrap();
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        std::process::exit(130);
    });
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0)
}

fn may_become_root() -> bool {
    program("sudo").is_some()
        && Command::new("sudo")
            .args(["-n", "true"])
            .output()
            .is_ok_and(|done| done.status.success())
}

fn program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// `PATH`, and where programs for root are.
fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
}
