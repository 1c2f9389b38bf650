//! The root, the user and the network in which a program of ours runs: what a container engine gives it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::volumes::Volumes;
use super::{list, text};
use crate::network::PodNetwork;

/// Where the program is in its root.
pub(super) const PROGRAM: &str = "/program";
/// The user of the image, where the specification names none.
const USER: u64 = 65532;

/// Makes the root, and becomes the program in it. Only what the program needs of the machine is there: shared libraries (it is not
/// linked statically as in the image), the roots of certificates, a few devices.
///
/// `$1` the root, `$2` the program, `$3` `rw` or `ro`, `$4` user:group, `$5` how many mounts follow as SOURCE TARGET FLAG, then NAME=VALUE…
/// and the command line.
const ENTER: &str = r#"
set -e
root=$1 program=$2 access=$3 user=$4 mounts=$5
shift 5
mkdir -p "$root"
mount -t tmpfs -o mode=755 root "$root"
cd "$root"
mkdir dev proc tmp etc run
for folder in usr bin lib lib64 sbin; do
  if [ -L "/$folder" ]; then cp -P "/$folder" "$folder"; elif [ -d "/$folder" ]; then mkdir "$folder"; mount --rbind "/$folder" "$folder"; fi
done
for file in null zero random urandom; do : >"dev/$file"; mount --bind "/dev/$file" "dev/$file"; done
mount --rbind /proc proc
[ ! -d /etc/ssl ] || { mkdir etc/ssl; mount --rbind /etc/ssl etc/ssl; }
ln -s /run var_run; mkdir var; mv var_run var/run
: >etc/resolv.conf
: >program
mount --bind "$program" program
while [ "$mounts" -gt 0 ]; do
  # /var/run is a link of the root's own, and not one of the machine.
  target=$root$(echo "$2" | sed 's|^/var/run/|/run/|')
  if [ -d "$1" ]; then mkdir -p "$target"; else mkdir -p "${target%/*}"; : >"$target"; fi
  mount --bind "$1" "$target"
  [ "$3" = rw ] || mount -o remount,bind,ro "$target"
  shift 3
  mounts=$((mounts - 1))
done
[ "$access" = rw ] || mount -o remount,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" /usr/bin/env -i "$@"
"#;

/// How often is looked whether a program has ended.
const GLANCE: Duration = Duration::from_millis(20);

/// A program in its sandbox, until it is dropped.
pub(super) struct Process(Child);

/// The sandbox of one container.
pub(super) struct Sandbox {
    /// The file that names the network.
    network: String,
    /// The program on this machine.
    program: PathBuf,
    /// For the root.
    folder: PathBuf,
    /// Where its output goes.
    log: PathBuf,
    /// SOURCE TARGET FLAG of each.
    mounts: Vec<String>,
    may_write: bool,
    /// `UID:GID`.
    user: String,
}

// === impl Sandbox ===

impl Sandbox {
    /// What the specification says of that container of that Pod. `folder` is the Pod's, where its volumes are laid out.
    pub(super) fn of(
        pod: &Value,
        container: &Value,
        network: &PodNetwork,
        volumes: &Volumes,
        (folder, program): (&Path, &Path),
    ) -> Self {
        let name = text(&container["name"]);
        let own = &container["securityContext"];
        let contexts = [own, &pod["spec"]["securityContext"]];
        let number = |field: &str| {
            let named = contexts.iter().find_map(|context| context[field].as_u64());
            named.unwrap_or(USER)
        };
        Self {
            network: network.namespace(),
            program: program.to_owned(),
            folder: folder.join(format!("{name}.root")),
            log: folder.join(format!("{name}.log")),
            mounts: mounts(container, volumes, &folder.join("hosts")),
            may_write: own["readOnlyRootFilesystem"] != true,
            user: format!("{}:{}", number("runAsUser"), number("runAsGroup")),
        }
    }

    /// Starts this command line.
    pub(super) fn start(
        &self,
        environment: &BTreeMap<String, String>,
        line: &[String],
    ) -> std::io::Result<Process> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let variables = environment.iter();
        let child = Command::new("nsenter")
            .arg(format!("--net={}", self.network))
            .args(["unshare", "--mount", "--propagation", "private"])
            .args(["sh", "-c", ENTER, "sandbox"])
            .arg(&self.folder)
            .arg(&self.program)
            .args([if self.may_write { "rw" } else { "ro" }, &self.user])
            .arg((self.mounts.len() / 3).to_string())
            .args(&self.mounts)
            .args(variables.map(|(name, value)| format!("{name}={value}")))
            .args(line)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Process(child))
    }
}

// === impl Process ===

impl Process {
    /// Waits until it has ended.
    pub(super) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Tells it to end, as a kubelet does.
    pub(super) fn terminate(&self) {
        let id = self.0.id().to_string();
        // It may have ended by itself.
        let _ended = Command::new("kill").args(["-TERM", &id]).status();
    }

    /// Ends it.
    pub(super) fn kill(&mut self) {
        let _ended = self.0.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _status = self.0.wait();
    }
}

fn mounts(container: &Value, volumes: &Volumes, hosts: &Path) -> Vec<String> {
    let hosts = hosts.display().to_string();
    let mut mounts = vec![hosts, "/etc/hosts".to_owned(), "ro".to_owned()];
    for mount in list(&container["volumeMounts"]) {
        let folder = volumes.folder(text(&mount["name"]));
        let source = match mount["subPath"].as_str() {
            None => folder.to_owned(),
            // As the kubelet does it: that file as it is now, for good.
            Some(path) => folder.join(path).canonicalize().unwrap(),
        };
        let access = if mount["readOnly"] == true {
            "ro"
        } else {
            "rw"
        };
        mounts.push(source.display().to_string());
        mounts.push(text(&mount["mountPath"]).to_owned());
        mounts.push(access.to_owned());
    }
    mounts
}
