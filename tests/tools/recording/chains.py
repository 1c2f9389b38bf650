"""An image attested by the Tekton Chains controller, which watches a real API server for a finished TaskRun.

No kubelet and no Tekton Pipelines run here: the TaskRun's status is written as Pipelines would have left it.
"""

import base64
import json
import subprocess
from pathlib import Path

from .bench import REGISTRY, Failed, http, tags, wait_for, write_json
from .cosign import COMMIT, TEKTON

TOOLS = ["crane", "olareg", "cosign2", "etcd", "kube-apiserver", "kubectl", "tekton-chains"]
LOG_TOOLS = ["rekor-server", "ct-server", "trillian-log-server", "trillian-log-signer", "trillian-createtree", "trillian-schema", "postgres"]
LOGS = Path(__file__).resolve().parent.parent / "logs"
REKOR = "http://127.0.0.1:3000"
MODULE = Path(__file__).resolve().parent.parent / "modules" / "tekton-chains"
CHAINS, PIPELINE = "github.com/tektoncd/chains", "github.com/tektoncd/pipeline"

PASSWORD = "recorded"  # of a key that lives as long as this recording
TOKEN = "admin-of-this-recording"
CONTROLLER = {
    "SYSTEM_NAMESPACE": "tekton-chains",
    "METRICS_DOMAIN": "tekton.dev/chains",
    "CONFIG_OBSERVABILITY_NAME": "tekton-chains-config-observability",
    "CONFIG_LEADERELECTION_NAME": "tekton-chains-config-leader-election",
    "POD_NAME": "chains-0",
    "KUBECONFIG": "kubeconfig",
}
SETTINGS = {
    "artifacts.taskrun.format": "slsa/v1",
    "artifacts.taskrun.storage": "oci",
    "artifacts.taskrun.signer": "x509",
    "artifacts.pipelinerun.storage": "oci",
    "artifacts.oci.format": "simplesigning",
    "artifacts.oci.storage": "oci",
    "artifacts.oci.signer": "x509",
    "storage.oci.repository.insecure": "true",
    "transparency.enabled": "false",
}


def record_logged(bench, group):
    """The same with the controller's transparency log on, which is a Rekor of our own."""
    start_logs(bench)
    record(bench, group, {**SETTINGS, "transparency.enabled": "true", "transparency.url": REKOR})
    entry = kubectl(bench, "get", "taskrun", "build", "-o", r"jsonpath={.metadata.annotations.chains\.tekton\.dev/transparency}")
    if not entry.startswith(REKOR):
        raise Failed(f"the TaskRun names no log entry: {entry!r}")
    if not json.loads(http(entry)):
        raise Failed(f"the log has no entry {entry}")
    store_entries(bench)
    (bench.out / "keys" / "rekor.pub").write_bytes((bench.work / "logs" / "rekor.pub").read_bytes())


def store_entries(bench):
    """Every entry of the log, as it gives them to anybody; without the attestations that it keeps beside them."""
    folder = bench.out / "log"
    folder.mkdir()
    for index in range(json.loads(http(f"{REKOR}/api/v1/log"))["treeSize"]):
        (entry,) = json.loads(http(f"{REKOR}/api/v1/log/entries?logIndex={index}")).values()
        entry.pop("attestation", None)
        write_json(folder / f"entry-{index}.json", entry)


def start_logs(bench):
    """Rekor v1, and a log of certificates of which nobody asks anything here."""
    folder = bench.work / "logs"
    folder.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=nobody", "-keyout", "ca.key", "-out", "ca.pem"], cwd=bench.work, check=True, capture_output=True)
    bench.start(LOGS, "logs", "ca.pem", "3000", "6962", "8090", "8091", "8092", "8093", "6963",
                env={"VOUCHSAFE_TOOLS": str(bench.tools)})
    wait_for("the logs", 120, (folder / "ready").exists)


def record(bench, group, settings=SETTINGS):
    """Records the one case."""
    bench.make_key("cosign2", "release", PASSWORD)
    bench.make_key("cosign2", "stranger", PASSWORD)  # signs nothing here
    digest = bench.make_image("t/signed", f"{group} signed\n")
    mount_signing_secrets(bench)
    start_api_server(bench)
    install_tekton(bench, settings)
    bench.commands.append("tekton-chains " + " ".join(f"{name}={value}" for name, value in settings.items()))
    bench.start("tekton-chains", env=CONTROLLER)
    finish_task_run(bench, "t/signed", digest)
    prefix = digest.replace(":", "-")
    wait_for("the signature and the attestation", 120,
             lambda: {f"{prefix}.sig", f"{prefix}.att"} <= set(tags("t/signed")))
    wait_for("the mark on the TaskRun", 60, lambda: "true" == kubectl(
        bench, "get", "taskrun", "build", "-o", r"jsonpath={.metadata.annotations.chains\.tekton\.dev/signed}"))
    verify(bench, f"{REGISTRY}/t/signed@{digest}")
    bench.store("signed", "t/signed", digest)


def verify(bench, image):
    """Lets cosign judge, and looks for what policies about builds ask for."""
    for key, good in (("release", True), ("stranger", False)):
        check = ["--key", f"{key}.pub", "--insecure-ignore-tlog"]
        bench.run("cosign2", "verify", *check, image, must_fail=not good)
        bench.run("cosign2", "verify-attestation", *check, "--type", "slsaprovenance", image, must_fail=not good)
    attestation = bench.run("cosign2", "download", "attestation", "--predicate-type", "slsaprovenance", image)
    predicate = json.loads(base64.b64decode(json.loads(attestation)["payload"]))["predicate"]
    if predicate["builder"]["id"] != TEKTON or {"sha1": COMMIT} not in [m["digest"] for m in predicate["materials"]]:
        raise Failed(f"the provenance names another builder or source: {json.dumps(predicate)}")


def mount_signing_secrets(bench):
    """Puts the key where the controller looks for it: in /etc, of this mount namespace only."""
    over = bench.work / "etc"
    over.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", over], check=True)
    for folder in ("upper", "work"):
        (over / folder).mkdir()
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                    f"lowerdir=/etc,upperdir={over}/upper,workdir={over}/work", "/etc"], check=True)
    # The overlay keeps its layers; detaching them lets the working folder be removed.
    subprocess.run(["umount", "--lazy", over], check=True)
    secrets = Path("/etc/signing-secrets")
    secrets.mkdir()
    for ending in ("key", "pub"):
        (secrets / f"cosign.{ending}").write_bytes((bench.work / f"release.{ending}").read_bytes())
    (secrets / "cosign.password").write_text(PASSWORD)


def start_api_server(bench):
    """etcd and kube-apiserver; afterwards `kubectl` works."""
    # The API server insists on advertising an address that is not a loopback one.
    subprocess.run(["ip", "addr", "add", "10.99.0.2/32", "dev", "lo"], check=True)
    etcd = "http://127.0.0.1:2379"
    bench.start("etcd", "--data-dir", "etcd", "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
                "--listen-peer-urls", "http://127.0.0.1:2380", "--unsafe-no-fsync")
    for arguments in (["genrsa", "-out", "sa.key", "2048"], ["rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"]):
        subprocess.run(["openssl", *arguments], cwd=bench.work, check=True, capture_output=True)
    (bench.work / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
    bench.start("kube-apiserver", "--etcd-servers", etcd, "--cert-dir", "certs", "--secure-port", "6443",
                "--bind-address", "127.0.0.1", "--advertise-address", "10.99.0.2",
                "--service-account-key-file", "sa.pub", "--service-account-signing-key-file", "sa.key",
                "--service-account-issuer", "https://kubernetes.default.svc",
                "--token-auth-file", "tokens.csv", "--authorization-mode", "RBAC",
                "--service-cluster-ip-range", "10.96.0.0/24")
    (bench.work / "kubeconfig").write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "recording",
        "clusters": [{"name": "recording", "cluster": {"server": "https://127.0.0.1:6443", "insecure-skip-tls-verify": True}}],
        "users": [{"name": "recording", "user": {"token": TOKEN}}],
        "contexts": [{"name": "recording", "context": {"cluster": "recording", "user": "recording"}}],
    }))
    wait_for("the API server", 120, lambda: kubectl(bench, "get", "--raw", "/readyz"))
    # What the controller manager would make, and the controllers of Chains ask for.
    wait_for("namespace default", 30, lambda: kubectl(bench, "get", "namespace", "default"))
    kubectl(bench, "create", "serviceaccount", "default")


def install_tekton(bench, chains):
    """Tekton's resource definitions and the settings of Chains, each from its own module."""
    definitions = module_folder(PIPELINE) / "config" / "300-crds"
    for name in ("taskrun", "pipelinerun", "task", "pipeline"):
        definition = json.loads(kubectl(bench, "create", "--dry-run=client", "--validate=false", "-o", "json",
                                        "-f", str(definitions / f"300-{name}.yaml")))
        # No conversion webhook runs here, and only the stored version is used.
        definition["spec"].pop("conversion", None)
        apply(bench, definition)
        kubectl(bench, "wait", "--for=condition=established", f"crd/{name}s.tekton.dev", "--timeout=30s")
    kubectl(bench, "create", "namespace", "tekton-chains")
    settings = module_folder(CHAINS) / "config"
    for file in ("info", "leader-election", "logging", "observability"):
        kubectl(bench, "apply", "-f", str(settings / f"config-{file}.yaml"))
    apply(bench, {"apiVersion": "v1", "kind": "ConfigMap", "data": chains,
                  "metadata": {"name": "chains-config", "namespace": "tekton-chains"}})


def finish_task_run(bench, repository, digest):
    """A TaskRun that has built and pushed the image."""
    results = {"IMAGE_URL": f"{REGISTRY}/{repository}", "IMAGE_DIGEST": digest,
               "CHAINS-GIT_URL": "https://git.example/shop/app.git", "CHAINS-GIT_COMMIT": COMMIT}
    builder = "registry.example/build/make"
    spec = {"results": [{"name": name, "type": "string"} for name in results],
            "steps": [{"name": "build", "image": f"{builder}:1", "script": "make image"}]}
    apply(bench, {"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "spec": {"taskSpec": spec, "serviceAccountName": "default"},
                  "metadata": {"name": "build", "namespace": "default"}})
    status = {
        "startTime": "2026-11-21T09:00:00Z", "completionTime": "2026-11-21T09:01:30Z", "podName": "build-pod",
        "conditions": [{"type": "Succeeded", "status": "True", "reason": "Succeeded", "message": "All Steps have completed executing",
                        "lastTransitionTime": "2026-11-21T09:01:30Z"}],
        "taskSpec": spec,
        "results": [{"name": name, "type": "string", "value": value} for name, value in results.items()],
        "steps": [{"name": "build", "container": "step-build", "imageID": f"{builder}@sha256:{'4b' * 32}",
                   "terminated": {"exitCode": 0, "reason": "Completed",
                                  "startedAt": "2026-11-21T09:00:05Z", "finishedAt": "2026-11-21T09:01:29Z"}}],
    }
    kubectl(bench, "patch", "taskrun", "build", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))


def apply(bench, resource):
    """Server-side: some of the definitions are too large for the annotation that client-side apply keeps."""
    kubectl(bench, "apply", "--server-side", "-f", "-", stdin=json.dumps(resource))


def kubectl(bench, *arguments, stdin=None):
    """kubectl as the administrator."""
    return bench.run("kubectl", "--kubeconfig", "kubeconfig", *arguments, stdin=stdin)


def download_modules():
    """Fetches what `install_tekton` reads; the installer may have found the controller built and fetched nothing."""
    subprocess.run(["go", "mod", "download", CHAINS, PIPELINE], cwd=MODULE, check=True)


def module_folder(module):
    """Where the module cache has the version that tekton-chains was built from."""
    done = subprocess.run(["go", "list", "-m", "-mod=readonly", "-f", "{{.Dir}}", module], cwd=MODULE, check=True,
                          capture_output=True, text=True)
    return Path(done.stdout.strip())
