"""A real cluster with a demo application in it, a person with the installed programs, and callers that never stop."""

from __future__ import annotations

import json
import shutil
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from conftest import EVIDENCE
from load import Load, wait_until

from e2e import lab

HERE = Path(__file__).resolve().parent
HOST = "shop.example"
OLD, NEW = lab.ISTIO_OLD, lab.ISTIO_NEW
OLD_REVISION = "1-30-0-relabel"


def kubectl(*words: str, stdin: str | None = None) -> str:
    """Ask as the administrator."""
    return lab.kubectl(lab.Home(), *words, stdin=stdin)


def get(kind: str, name: str = "", namespace: str = "") -> Any:
    """Give an object, or the objects of a kind in all namespaces."""
    where = [f"--namespace={namespace}"] if namespace else ["--all-namespaces"] if not name else []
    found = json.loads(kubectl("get", kind, *([name] if name else []), *where, "--output=json"))
    return found if name else found["items"]


def pods(namespace: str, app: str) -> list[Any]:
    """Give every pod of an app, those on their way out too."""
    return [each for each in get("pods", namespace=namespace) if each["metadata"]["labels"].get("app") == app]


def sidecars(namespace: str, app: str) -> list[str]:
    """Give the image of the sidecar of each of an app's pods that stay; a bare pod gives ""."""
    found = []
    for pod in pods(namespace, app):
        if "deletionTimestamp" in pod["metadata"]:
            continue
        every = (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ()))
        found.append(next((each["image"] for each in every if each["name"] == "istio-proxy"), ""))
    return found


def proxies(namespace: str, app: str) -> set[str]:
    """Give the images of the sidecars of an app's pods that stay; bare pods have none."""
    return set(sidecars(namespace, app)) - {""}


def strict_policies() -> list[str]:
    """Name the policies that refuse plaintext."""
    return [
        f"{each['metadata']['namespace']}/{each['metadata']['name']}"
        for each in get("peerauthentications.security.istio.io")
        if each["spec"].get("mtls", {}).get("mode") == "STRICT"
    ]


@dataclass(slots=True)
class Report:
    """What the rollout did, stage by stage; written beside the evidence."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def tell(self) -> str:
        """Give the report as a table."""
        lines = [f"{'stage':34} {'seconds':>8} {'sent':>7} {'failed':>7}  why"]
        lines += [
            f"{row['stage']:34} {row['seconds']:8.1f} {row['sent']:7} {row['failed']:7}  {row['why'] or ''}"
            for row in self.rows
        ]
        return "\n".join(lines)


class Town:
    """The cluster under the rollout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.report = Report()
        self._said = 0
        self.outside = folder / "outside.url"
        self.load = Load((str(lab.kube("kubectl")), f"--kubeconfig={lab.Home().kubeconfig}"), self.outside)

    def found(self) -> None:
        """Bring the older release and the application up, and let the callers begin."""
        self.build()
        self.ask_through("nginx-ingress", "edge")
        self.load.start()

    def build(self) -> None:
        """Bring the older release and the application up; callers inside belong to it."""
        self._install_old()
        script = (HERE / "calls.py").read_text("utf-8")
        text = string.Template((HERE / "shop.yaml").read_text("utf-8")).substitute(
            image=lab.FORTIO_IMAGE, python=lab.MESHUP_IMAGE, envoy=OLD.proxy_image, old=OLD_REVISION
        )
        spaces = [each for each in text.split("---\n") if "kind: Namespace" in each]
        kubectl("apply", "--filename=-", stdin="---\n".join(spaces))
        for namespace in ("front", "shop", "data"):
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "calls", "namespace": namespace},
                "data": {"calls.py": script},
            }
            kubectl("apply", "--filename=-", stdin=json.dumps(body))
        kubectl("apply", "--filename=-", stdin=text)
        for each in get("deployments,statefulsets"):
            meta = each["metadata"]
            if meta["namespace"] in ("front", "shop", "data", "edge"):
                self.settled(meta["namespace"], f"{each['kind']}/{meta['name']}")

    def _install_old(self) -> None:
        values = {
            "hub": f"{lab.config.HUB}/istio",
            "tag": OLD.version,
            "revision": OLD_REVISION,
            "compatibility": OLD.compatibility,
            "gateway": "false",
        }
        operator = self.folder / "old.yaml"
        operator.write_text(
            string.Template(
                (Path(lab.__file__).parent / "manifests/istio-operator.yaml").read_text("utf-8")
            ).substitute(values)
        )
        command = [
            str(lab.istioctl(OLD)),
            "install",
            "--skip-confirmation",
            f"--filename={operator}",
            f"--kubeconfig={lab.Home().kubeconfig}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr

    def keep(self, said: object) -> None:
        """Keep what a command said, in order, beside the report."""
        self._said += 1
        (self.folder / f"said-{self._said:02d}.txt").write_text(str(said), "utf-8")

    def settled(self, namespace: str, workload: str) -> None:
        """Wait for a rollout."""
        kubectl("rollout", "status", workload, f"--namespace={namespace}", "--timeout=180s")

    def ask_through(self, service: str, namespace: str) -> None:
        """Point the caller outside to a Service, as a change of DNS would."""
        address = get("service", service, namespace)["spec"]["clusterIP"]
        beside = self.outside.with_suffix(".new")
        beside.write_text(f"http://{address}/debug#host={HOST}\n")
        beside.replace(self.outside)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what is sent and fails meanwhile."""
        began = time.time()
        try:
            yield
        finally:
            time.sleep(1.5)  # the second that is under way ends, and its line is read
            ended = time.time()
            counted = self.load.between(began, ended)
            self.report.rows.append({"stage": name, "seconds": round(ended - began, 1), **asdict(counted)})
            sys.stderr.write(
                f"{name}: {ended - began:.0f} s, {counted.sent} sent, {counted.failed} failed {counted.why or ''}\n"
            )

    def plaintext_answer(self, url: str) -> str:
        """Ask as a pod outside the mesh; give the status, or "refused"."""
        name = "plain-client"
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "edge", "labels": {"sidecar.istio.io/inject": "false"}},
            "spec": {
                "restartPolicy": "Never",
                "containers": [
                    {
                        "name": "curl",
                        "image": lab.FORTIO_IMAGE,
                        "imagePullPolicy": "IfNotPresent",
                        "args": ["curl", "-timeout=4s", url],
                    }
                ],
            },
        }
        kubectl("apply", "--filename=-", stdin=json.dumps(body))
        try:
            wait_until(f"{name} ended", lambda: get("pod", name, "edge")["status"]["phase"] in ("Succeeded", "Failed"))
            said = kubectl("logs", name, "--namespace=edge")
        finally:
            kubectl("delete", "pod", name, "--namespace=edge", "--grace-period=0", "--force")
        return next((line.split()[1] for line in said.splitlines() if line.startswith("HTTP/1.1 ")), "refused")


@contextmanager
def standing(made: Town, name: str) -> Iterator[Town]:
    """Found a town while the block lasts; what was told in it is kept beside the evidence of that name in any case."""
    try:
        made.found()
        yield made
    finally:
        made.load.stop()
        (made.folder / "report.json").write_text(json.dumps(made.report.rows, indent=2), "utf-8")
        shutil.copytree(made.folder, EVIDENCE / name / "told", dirs_exist_ok=True)
