"""A working folder with a registry: runs tools in it, keeps a log of the commands, and stores what the registry then holds.

Everything happens inside a network namespace, so ports are fixed and nothing can leave the machine.
"""

import hashlib
import io
import json
import os
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path

REGISTRY = "127.0.0.1:5000"
MANIFEST_TYPES = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


class Failed(Exception):
    """A tool did not do what the recording needs; the message says which and why."""


class Bench:
    """One recording: a folder to work in, a folder to record into, and the processes started meanwhile."""

    def __init__(self, tools, work, out):
        self.tools, self.work, self.out = Path(tools), Path(work), Path(out)
        self.commands, self.processes = [], []
        # HOME: tools keep configuration, credentials and trust roots there; nothing of the user's own is read or written.
        self.environment = {**os.environ, "HOME": str(self.work)}
        self.work.mkdir(parents=True)
        self.out.mkdir(parents=True)

    def __enter__(self):
        self.start("olareg", "serve", "--addr", "127.0.0.1", "--port", "5000", "--store-type", "mem")
        wait_for("olareg", 10, lambda: http(f"http://{REGISTRY}/v2/"))
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, tool, *arguments, env=None):
        """Starts a server; it is stopped when the recording ends. Its output goes to TOOL.log in the working folder."""
        with open(self.work / f"{Path(tool).name}.log", "ab") as log:
            self.processes.append(
                subprocess.Popen([self.tools / tool, *arguments], cwd=self.work, stdout=log, stderr=log,
                                 stdin=subprocess.DEVNULL, env={**self.environment, **(env or {})}))

    def run(self, tool, *arguments, env=None, stdin=None, must_fail=False, note=False):
        """Runs a tool to its end and returns its output. `note`: the command belongs into SOURCES.md."""
        if note:
            self.commands.append(" ".join([tool, *arguments]))
        done = subprocess.run([self.tools / tool, *arguments], cwd=self.work, input=stdin, text=True,
                              capture_output=True, env={**self.environment, **(env or {})}, timeout=120)
        if (done.returncode != 0) != must_fail:
            said = "succeeded, but must not" if must_fail else f"failed: {done.stderr.strip()}"
            raise Failed(f"`{tool} {' '.join(arguments)}` {said}")
        return done.stdout

    def logs(self):
        """The ends of what the servers said, for an error message."""
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}" for log in sorted(self.work.glob("*.log")))

    def make_image(self, repository, text):
        """Pushes an image of one small file as `repository:v1` and returns its digest, the same in every recording."""
        with tarfile.open(self.work / "layer.tar", "w") as tar:
            entry = tarfile.TarInfo("app.txt")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
        reference = f"{REGISTRY}/{repository}:v1"
        self.run("crane", "append", "--oci-empty-base", "-f", "layer.tar", "-t", reference)
        return self.run("crane", "digest", reference).strip()

    def make_key(self, cosign, name, password=""):
        """Makes `name.key` in the working folder, where it is thrown away, and records `keys/name.pub`."""
        self.run(cosign, "generate-key-pair", "--output-key-prefix", name, env={"COSIGN_PASSWORD": password})
        (self.out / "keys").mkdir(exist_ok=True)
        (self.out / "keys" / f"{name}.pub").write_bytes((self.work / f"{name}.pub").read_bytes())

    def store(self, case, repository, digest):
        """Writes every manifest of `repository`, with its blobs except image layers, to the folder of `case`."""
        folder = self.out / case
        folder.mkdir()
        manifests, blobs = [], {}
        for tag in sorted(tags(repository)):
            body, media_type = manifest(repository, tag)
            of_image = tag == "v1"
            file = "image.json" if of_image else f"{tag.rsplit('.', 1)[1]}.json"
            (folder / file).write_bytes(body)
            for reference in (tag, sha256(body)):
                manifests.append({"reference": reference, "mediaType": media_type, "file": file})
            parsed = json.loads(body)
            for blob in [parsed["config"]] + ([] if of_image else parsed["layers"]):
                blobs[blob["digest"]] = f"blob-{blob['digest'][7:19]}.json"
        for blob, file in blobs.items():
            (folder / file).write_bytes(checked(http(f"http://{REGISTRY}/v2/{repository}/blobs/{blob}"), blob))
        listing = {"repository": repository, "digest": digest, "manifests": manifests,
                   "blobs": [{"digest": blob, "file": file} for blob, file in sorted(blobs.items())]}
        if digest not in (entry["reference"] for entry in manifests):
            raise Failed(f"{repository}:v1 is no longer {digest}")
        write_json(folder / "registry.json", listing)


def manifest(repository, reference):
    """The bytes and the media type of a manifest."""
    request = urllib.request.Request(f"http://{REGISTRY}/v2/{repository}/manifests/{reference}",
                                     headers={"Accept": MANIFEST_TYPES})
    with urllib.request.urlopen(request, timeout=10) as response:
        body = checked(response.read(), response.headers["Docker-Content-Digest"])
        return body, response.headers["Content-Type"]


def tags(repository):
    """The tags of a repository; none when it does not exist."""
    try:
        return json.loads(http(f"http://{REGISTRY}/v2/{repository}/tags/list"))["tags"]
    except urllib.error.HTTPError:
        return []


def http(url):
    """GET."""
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read()


def sha256(body):
    """The digest as registries write it."""
    return "sha256:" + hashlib.sha256(body).hexdigest()


def checked(body, digest):
    """The same bytes, when they are the ones that the digest names."""
    if sha256(body) != digest:
        raise Failed(f"the registry answered {sha256(body)} for {digest}")
    return body


def wait_for(what, seconds, attempt):
    """Repeats `attempt` until it neither raises nor returns something false; returns what it returned."""
    deadline, problem = time.monotonic() + seconds, "nothing yet"
    while time.monotonic() < deadline:
        try:
            if result := attempt():
                return result
        except (OSError, Failed) as error:
            problem = error
        time.sleep(0.25)
    raise Failed(f"waited {seconds} s for {what}: {problem}")


def write_json(path, value):
    """Indented JSON with a final line break."""
    path.write_text(json.dumps(value, indent=2) + "\n")
