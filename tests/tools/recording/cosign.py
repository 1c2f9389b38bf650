"""Images signed and attested by cosign with a key, in the form with the tags `sha256-….sig` and `sha256-….att`."""

import json

from .bench import REGISTRY

TEKTON = "https://tekton.dev/chains/v2"
SOURCE = "git+https://git.example/shop/app.git"
COMMIT = "7f0b2a5c1d9e4863a2b1c0d9e8f7a6b5c4d3e2f1"

# No transparency log: the recording is offline, and the verifying policy says that it does without.
OFFLINE = {
    "cosign2": ["--tlog-upload=false"],
    "cosign": ["--use-signing-config=false", "--new-bundle-format=false", "--tlog-upload=false"],
}


def sign(key, **annotations):
    """A step: sign the image, with annotations in the signed payload."""
    return {"verb": "sign", "key": key, "annotations": annotations}


def provenance(key, builder):
    """A step: attest SLSA provenance v0.2 by this builder."""
    predicate = {
        "builder": {"id": builder},
        "buildType": "tekton.dev/v1beta1/TaskRun",
        "invocation": {"configSource": {}, "parameters": {"revision": "main"}},
        "buildConfig": {"steps": [{"entryPoint": "make image", "environment": {"container": "build"}}]},
        "metadata": {
            "buildStartedOn": "2026-11-21T09:00:00Z", "buildFinishedOn": "2026-11-21T09:01:30Z",
            "completeness": {"parameters": False, "environment": False, "materials": False}, "reproducible": False,
        },
        "materials": [{"uri": SOURCE, "digest": {"sha1": COMMIT}}],
    }
    return {"verb": "attest", "key": key, "type": "slsaprovenance", "predicate": predicate}


def scan(key):
    """A step: attest a vulnerability scan that found nothing."""
    predicate = {
        "invocation": {"parameters": None, "uri": "", "event_id": "", "builder.id": ""},
        "scanner": {"uri": "pkg:generic/scanner@1.0", "version": "1.0", "db": {"uri": "", "version": ""}, "result": {"findings": []}},
        "metadata": {"scanStartedOn": "2026-11-21T09:02:00Z", "scanFinishedOn": "2026-11-21T09:02:10Z"},
    }
    return {"verb": "attest", "key": key, "type": "vuln", "predicate": predicate}


CASES = {
    "signed": [sign("release"), provenance("release", TEKTON)],
    "annotated": [sign("release", env="prod", team="shop"), provenance("release", TEKTON)],
    "stranger": [sign("stranger"), provenance("stranger", TEKTON)],
    "wrong-builder": [sign("release"), provenance("release", "https://builder.example/elsewhere")],
    "two-attestations": [sign("release"), provenance("release", "https://builder.example/elsewhere"),
                         provenance("release", TEKTON), scan("release")],
    "sig-only": [sign("release")],
    "att-only": [provenance("release", TEKTON)],
    "unsigned": [],
}


def record(bench, group, tool):
    """Records all cases with one cosign."""
    for key in ("release", "stranger"):
        bench.make_key(tool, key)
    for case, steps in CASES.items():
        repository = f"t/{case}"
        digest = bench.make_image(repository, f"{group} {case}\n")
        image = f"{REGISTRY}/{repository}@{digest}"
        for step in steps:
            take(bench, tool, case, step, image)
        verify(bench, tool, steps, image)
        bench.store(case, repository, digest)


def take(bench, tool, case, step, image):
    """Does one step of a case."""
    arguments = [step["verb"], "--key", f"{step['key']}.key", *OFFLINE[tool], "-y"]
    if step["verb"] == "sign":
        for name, value in step["annotations"].items():
            arguments += ["-a", f"{name}={value}"]
    else:
        builder = step["predicate"].get("builder", {}).get("id", "")
        file = f"{step['type']}-{builder.rpartition('/')[2] or 'scan'}.json"
        (bench.work / file).write_text(json.dumps(step["predicate"]))
        arguments += ["--type", step["type"], "--predicate", file]
    bench.run(tool, *arguments, image, env={"COSIGN_PASSWORD": ""}, note=True)


def verify(bench, tool, steps, image):
    """Lets the same cosign judge: it must accept, for each key, exactly what was made with that key."""
    def judged(verb, key, good, *more):
        bench.run(tool, verb, "--key", f"{key}.pub", "--insecure-ignore-tlog", *more, image, must_fail=not good)

    for key in ("release", "stranger"):
        mine = [step for step in steps if step["key"] == key]
        signatures = [step for step in mine if step["verb"] == "sign"]
        judged("verify", key, bool(signatures))
        for step in signatures:
            for name, value in step["annotations"].items():
                judged("verify", key, True, "-a", f"{name}={value}")
                judged("verify", key, False, "-a", f"{name}=not-{value}")
        for kind in ("slsaprovenance", "vuln"):
            judged("verify-attestation", key, any(step.get("type") == kind for step in mine), "--type", kind)
