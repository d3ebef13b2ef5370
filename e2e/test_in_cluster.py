"""meshup's own image in a pod of the full lab: a service account is the user, the API server is found by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from enrolling import write_runbook

from e2e import lab
from e2e.providers import Provider, Reached

pytestmark = [pytest.mark.e2e, pytest.mark.lab]
ROLES = Path(__file__).resolve().parents[1] / "templates" / "rbac"
ACCOUNT = "system:serviceaccount:ops:watcher"


@pytest.fixture(scope="module")
def inside(provider: Provider, evidence: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    """A full lab with a service account that holds the viewer role."""
    if provider.name != "lab":
        pytest.skip("meshup's image is made by the lab: PROVIDER=lab")
    with provider.cluster() as reached, evidence(reached, "in-cluster"):
        home = reached.lab
        lab.kubectl(home, "create", "namespace", "ops")
        lab.kubectl(home, "create", "serviceaccount", "watcher", "--namespace=ops")
        lab.kubectl(home, "apply", f"--filename={ROLES}", f"--filename={ROLES.parent / 'crds'}")
        path = write_runbook(tmp_path_factory.mktemp("runbook"), ("cart",))
        lab.kubectl(home, "create", "configmap", "runbook", f"--from-file={path}", "--namespace=ops")
        who = "--serviceaccount=ops:watcher"
        lab.kubectl(home, "create", "clusterrolebinding", "watcher", "--clusterrole=meshup-viewer", who)
        records = ("create", "rolebinding", "watcher", "--role=meshup-viewer", "--namespace=meshup-system")
        lab.kubectl(home, *records, who)
        yield reached


def ran(reached: Reached, name: str, *arguments: str, account: str = "watcher") -> tuple[int, str]:
    """Run meshup once in a pod, as guards and probes run: nobody's user, nothing to write to; give exit code and log."""
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
    }
    container: dict[str, Any] = {
        "name": "meshup",
        "image": lab.MESHUP_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["meshup", *arguments, "--filename", "/runbook/meshup.yaml"],
        "securityContext": security,
        "volumeMounts": [{"name": "runbook", "mountPath": "/runbook", "readOnly": True}],
    }
    volumes = [{"name": "runbook", "configMap": {"name": "runbook"}}]
    spec = {"serviceAccountName": account, "restartPolicy": "Never", "containers": [container], "volumes": volumes}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "ops"}, "spec": spec}
    here = ("--namespace=ops",)
    lab.kubectl(reached.lab, "create", "--filename=-", stdin=json.dumps(pod))
    ended = "--for=jsonpath={.status.containerStatuses[0].state.terminated}"
    lab.kubectl(reached.lab, "wait", ended, f"pod/{name}", *here, "--timeout=90s")
    code = "--output=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
    return int(lab.kubectl(reached.lab, "get", "pod", name, *here, code)), lab.kubectl(reached.lab, "logs", name, *here)


def test_the_service_account_is_the_user(inside: Reached) -> None:
    code, log = ran(inside, "status", "status")
    assert code == 0, log
    assert f" as {ACCOUNT}\n" in log


def test_it_looks_at_its_own_cluster(inside: Reached) -> None:
    code, log = ran(inside, "cluster", "status")
    assert code == 0, log
    uid = lab.kubectl(inside.lab, "get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}")
    assert f"(id {uid[:8]}..." in log


def test_an_account_without_rights_is_told_so(inside: Reached) -> None:
    code, log = ran(inside, "nobody", "status", account="default")
    assert code == 7, log
    assert "error[MU7101]" in log
    assert "Traceback" not in log


def test_prometheus_is_reached_through_the_api_server(inside: Reached) -> None:
    namespace, _, rest = lab.PROMETHEUS_SERVICE.partition("/")
    name, _, port = rest.partition(":")
    path = f"/api/v1/namespaces/{namespace}/services/{name}:{port}/proxy/api/v1/query?query=vector(1)"
    answer = json.loads(lab.kubectl(inside.lab, "get", "--raw", path))
    assert answer["data"]["result"][0]["value"][1] == "1"
