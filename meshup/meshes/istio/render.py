"""Manifests of a revision: from the pinned release's own program, charts, a vendored folder, or our stand-ins."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import string
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, assert_never

from meshup.meshes.driver import Rendered
from meshup.meshes.istio.words import revision_suffix
from meshup.model.objects import Object, Ref, dig, ref_of
from meshup.model.problem import Refused, UsageError
from meshup.model.runbook import Mesh
from meshup.model.shipped import shipped

ORDER = (
    "CustomResourceDefinition",
    "Namespace",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "Deployment",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
)
"""Definitions before what they define, the control plane before its webhooks: a webhook without one refuses pods."""

PROGRAM_S = 60


def render(mesh: Mesh) -> Rendered:
    """Give a control plane's objects. Raises Refused or UsageError (MU4101-MU4106)."""
    match mesh.manifests.source:
        case "istioctl":
            documents, origin = _istioctl(mesh)
        case "helm":
            documents, origin = _helm(mesh)
        case "directory":
            documents, origin = _directory(mesh)
        case "stand-in":
            documents, origin = _stand_in(mesh), f"stand-ins for {mesh.release}"
        case _:
            assert_never(mesh.manifests.source)
    objects = ordered(_with_namespace(documents, mesh))
    digest = digest_of(objects)
    if mesh.manifests.digest and mesh.manifests.digest != digest:
        raise Refused(
            f"the manifests of {mesh.release} are not the pinned ones",
            code="MU4104",
            why=f"meshup.lock says {mesh.manifests.digest[:19]}..., {origin} gives {digest[:19]}...",
            fix="find out what changed; meshup init pins anew",
            cluster="not contacted",
        )
    return Rendered(
        objects=objects,
        digest=digest,
        origin=origin,
        ready=ready(objects),
        shared=frozenset(ref_of(each) for each in objects if _is_shared(each, mesh)),
        again={ref_of(each): _again(each) for each in objects if str(each["kind"]).endswith("WebhookConfiguration")},
    )


def _is_shared(obj: Object, mesh: Mesh) -> bool:
    """Tell whether an object is of all revisions: definitions, the namespace, and what no revision's name is in."""
    if obj["kind"] in ("CustomResourceDefinition", "Namespace"):
        return True
    suffix = revision_suffix(mesh.revision)
    name = str(dig(obj, "metadata", "name"))
    return bool(suffix) and not name.endswith(suffix) and f"{suffix}-" not in name


def _again(obj: Object) -> Object:
    """Leave out what istiod keeps in its webhooks once it runs: CA bundles, and the validator's failure policy."""
    hooks = []
    for each in obj.get("webhooks") or ():
        client = {key: value for key, value in (each.get("clientConfig") or {}).items() if key != "caBundle"}
        hook = {**each, "clientConfig": client}
        if obj["kind"] == "ValidatingWebhookConfiguration":
            hook.pop("failurePolicy", None)
        hooks.append(hook)
    return {**obj, "webhooks": hooks}


def digest_of(objects: Iterable[Object]) -> str:
    """Give the SHA-256 over the canonical form of all objects."""
    text = "\n".join(map(json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode, objects))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def ordered(documents: Iterable[Object]) -> tuple[Object, ...]:
    """Sort objects by kind; within a kind by namespace and name."""

    def rank(each: Object) -> tuple[int, str, str]:
        kind = str(each.get("kind"))
        at = ORDER.index(kind) if kind in ORDER else len(ORDER) + kind.endswith("WebhookConfiguration")
        return at, str(dig(each, "metadata", "namespace") or ""), str(dig(each, "metadata", "name"))

    return tuple(sorted(documents, key=rank))


def ready(objects: Sequence[Object]) -> tuple[Ref, ...]:
    """Name the workloads to wait for."""
    return tuple(ref_of(each) for each in objects if each.get("kind") in ("Deployment", "DaemonSet", "StatefulSet"))


def load(text: str, *, where: str) -> list[dict[str, Any]]:
    """Read YAML documents, or one of JSON, that are objects. Raises UsageError (MU4105)."""
    found = _json(text) or _yaml(text, where)
    flat: list[Any] = []
    for each in found:
        flat += each["items"] if isinstance(each, dict) and each.get("kind") == "List" else [each]
    for each in flat:
        if (
            not isinstance(each, dict)
            or not each.get("kind")
            or not each.get("apiVersion")
            or not dig(each, "metadata", "name")
        ):
            raise UsageError(
                f"{where} has a document that is no object",
                code="MU4105",
                why="apiVersion, kind and metadata.name are needed",
                fix="correct the manifests",
                cluster="not contacted",
            )
    return flat


def _json(text: str) -> list[Any]:
    """Read one document of JSON, many times quicker than YAML; empty when it is anything else."""
    if not text.startswith("{"):
        return []
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        return []


def _yaml(text: str, where: str) -> list[Any]:
    import yaml

    try:
        return [each for each in yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if each]
    except yaml.YAMLError as error:
        raise UsageError(
            f"{where} is no YAML",
            code="MU4105",
            why=str(error)[:300],
            fix="correct the manifests",
            cluster="not contacted",
        ) from error


def _with_namespace(documents: Iterable[Object], mesh: Mesh) -> list[Object]:
    found = list(documents)
    if not any(each.get("kind") == "Namespace" and dig(each, "metadata", "name") == mesh.namespace for each in found):
        found.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": mesh.namespace}})
    return found


def _run(command: Sequence[str], *, what: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROGRAM_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(
            f"{what} could not be run",
            code="MU4101",
            why=str(error),
            fix="set mesh.manifests.path to the program",
            cluster="not contacted",
        ) from error
    if done.returncode:
        raise UsageError(
            f"{what} failed",
            code="MU4103",
            why=done.stderr.strip()[-600:] or f"exit {done.returncode}",
            fix="correct mesh.values or mesh.release in the runbook",
            cluster="not contacted",
        )
    return done.stdout


def _program(mesh: Mesh, name: str) -> str:
    found = mesh.manifests.path or shutil.which(name) or ""
    if not found or not Path(found).is_file():
        raise UsageError(
            f"{name} of release {mesh.release} was not found",
            code="MU4101",
            why=f"mesh.manifests.path is {mesh.manifests.path!r}" if mesh.manifests.path else "it is not on PATH",
            fix=f"install {name} {mesh.release} or set mesh.manifests.path; meshup vendors nothing by itself",
            cluster="not contacted",
        )
    return found


def version_of(program: str) -> str:
    """Ask an istioctl for its own release. Raises UsageError (MU4101, MU4103)."""
    answer = _run([program, "version", "--remote=false", "--output=json"], what="istioctl version")
    try:
        return str(dig(json.loads(answer), "clientVersion", "version") or "unknown")
    except ValueError as error:
        raise UsageError(
            f"{program} does not say its version",
            code="MU4101",
            why=answer.strip()[:200],
            fix="set mesh.manifests.path to the program",
            cluster="not contacted",
        ) from error


def _istioctl(mesh: Mesh) -> tuple[list[dict[str, Any]], str]:
    program = _program(mesh, "istioctl")
    found = version_of(program)
    if found != mesh.release:
        raise Refused(
            f"istioctl is of release {found}, the runbook pins {mesh.release}",
            code="MU4102",
            fix=f"use istioctl {mesh.release}, or pin {found} in the runbook",
            cluster="not contacted",
        )
    with tempfile.TemporaryDirectory() as folder:
        overlay = Path(folder) / "overlay.json"
        overlay.write_text(json.dumps(_operator(mesh)))
        command = [program, "manifest", "generate", f"--filename={overlay}"]
        return load(_run(command, what="istioctl manifest generate"), where="istioctl's output"), f"istioctl {found}"


def values_of(mesh: Mesh) -> dict[str, Any]:
    """Give mesh.values with what the evidence needs and the charts leave off: without access logs no caller has a name.

    What the runbook states stays as it is; accessLogFile: "" turns them off again.
    """
    stated = mesh.values.get("meshConfig")
    return {**mesh.values, "meshConfig": {"accessLogFile": "/dev/stdout", **(stated or {})}}


def _operator(mesh: Mesh) -> dict[str, Any]:
    """Give the overlay for istioctl. mesh.values may hold the operator's own blocks beside plain chart values."""
    given = values_of(mesh)
    spec: dict[str, Any] = {"profile": "minimal", "revision": mesh.revision, "namespace": mesh.namespace}
    for name in ("profile", "hub", "tag", "meshConfig", "components"):
        if name in given:
            spec[name] = given.pop(name)
    if given:
        spec["values"] = given
    return {"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "spec": spec}


def _helm(mesh: Mesh) -> tuple[list[dict[str, Any]], str]:
    folder = Path(mesh.manifests.path)
    helm = shutil.which("helm")
    if helm is None or not folder.is_dir():
        raise UsageError(
            "helm or its charts were not found",
            code="MU4101",
            why=f"helm: {helm or 'not on PATH'}; charts: {folder}",
            fix="install helm and set mesh.manifests.path to a folder with the charts base and istiod",
            cluster="not contacted",
        )
    documents: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        values = Path(scratch) / "values.json"
        values.write_text(json.dumps({**values_of(mesh), "revision": mesh.revision}))
        for chart, name in (("base", "istio-base"), ("istiod", f"istiod{revision_suffix(mesh.revision)}")):
            where = folder / chart
            if chart == "base" and not where.is_dir():
                continue
            command = [
                helm,
                "template",
                name,
                str(where),
                f"--namespace={mesh.namespace}",
                f"--values={values}",
                "--include-crds",
            ]
            documents += load(_run(command, what=f"helm template {chart}"), where=f"chart {chart}")
    return documents, f"helm charts in {folder}"


def _directory(mesh: Mesh) -> tuple[list[dict[str, Any]], str]:
    folder = Path(mesh.manifests.path)
    files = sorted(_files(mesh.manifests.path), key=lambda each: each.split(os.sep))
    # Folders that are links are not followed, so only a file that is one can lead out.
    whole = folder.resolve()
    outside = [each for each in files if os.path.islink(each) and not Path(each).resolve().is_relative_to(whole)]
    if not files or outside:
        raise UsageError(
            f"the vendored folder {folder} can't be used",
            code="MU4106",
            why=f"{outside[0]} leads out of it" if outside else "it has no manifests",
            fix="correct mesh.manifests.path",
            cluster="not contacted",
        )
    documents = [each for file in files for each in load(_text(file), where=file)]
    return documents, f"folder {folder}"


def _files(folder: str) -> Iterator[str]:
    """Yield the paths of the manifests in a folder and below it."""
    for at, _, names in os.walk(folder):
        yield from (os.path.join(at, each) for each in names if each.endswith((".yaml", ".yml", ".json")))


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _stand_in(mesh: Mesh) -> list[dict[str, Any]]:
    words: Mapping[str, str] = {
        "release": mesh.release,
        "revision": mesh.revision,
        "namespace": mesh.namespace,
        "suffix": revision_suffix(mesh.revision),
    }
    documents: list[dict[str, Any]] = []
    for file in sorted(shipped("templates").joinpath("istio", "stand-in").glob("*.yaml")):
        documents += load(string.Template(file.read_text(encoding="utf-8")).substitute(words), where=file.name)
    return documents
