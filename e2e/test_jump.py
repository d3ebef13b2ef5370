"""What an upgrade's preflight says of a real API server's objects comes true on it; and Secrets are asked for by nobody who may not."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_roles import GROUPS, ROLES

from e2e import lab
from e2e.lab import audit
from e2e.providers import Provider, Reached
from meshup.cli.connect import Aim, door
from meshup.cli.kinds import kinds
from meshup.cluster.door import Cluster
from meshup.gates.gate import Eyes, Terms
from meshup.gates.preflight import Preflight
from meshup.meshes.istio.driver import IstioSidecar
from meshup.model.objects import Ref
from meshup.runbook.load import load

pytestmark = pytest.mark.e2e
CERTIFICATES = Path(__file__).resolve().parents[1] / "tests" / "cases" / "certificates"
WAIT_S = 30.0
RULE = Ref(api_version="networking.istio.io/v1", kind="DestinationRule", namespace="shop", name="cart")
OLD = {"host": {"type": "string"}, "warm": {"type": "integer"}, "mode": {"type": "string"}}
NEW = {"host": {"type": "string"}, "mode": {"type": "string", "enum": ["SIMPLE", "MUTUAL"]}}


def definition(fields: Mapping[str, Any], *versions: str) -> dict[str, Any]:
    """Give a definition of DestinationRule that stores its first version."""
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}
    plural = "destinationrules"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.networking.istio.io"},
        "spec": {
            "group": "networking.istio.io",
            "names": {"kind": "DestinationRule", "plural": plural, "singular": "destinationrule"},
            "scope": "Namespaced",
            "versions": [
                {"name": each, "served": True, "storage": each == versions[0], "schema": {"openAPIV3Schema": schema}}
                for each in versions
            ],
        },
    }


def rule(name: str, version: str = "v1", **spec: Any) -> dict[str, Any]:
    """Give one object of it."""
    meta = {"name": name, "namespace": "shop"}
    return {"apiVersion": f"networking.istio.io/{version}", "kind": "DestinationRule", "metadata": meta, "spec": spec}


def named(kind: str, name: str, **rest: Any) -> dict[str, Any]:
    """Give one object of the control plane's namespace."""
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "istio-system"}, **rest}


def pem(name: str) -> str:
    return (CERTIFICATES / f"{name}.pem").read_text("utf-8")


def plane() -> dict[str, Any]:
    """Give a control plane, which nobody starts."""
    labels = {"app": "istiod", "istio.io/rev": "1-30-3"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "discovery", "image": "x/pilot:1.30.3"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    body = named("Deployment", "istiod-1-30-3", spec=spec)
    return {**body, "apiVersion": "apps/v1", "metadata": {**body["metadata"], "labels": labels}}


@dataclass(frozen=True, slots=True)
class Standing:
    """A real server with an old control plane, its objects, and one person beside the administrator."""

    reached: Reached
    admin: Cluster
    operator: Cluster


@pytest.fixture(scope="module")
def standing(provider: Provider, evidence: Any) -> Iterator[Standing]:
    """The old definitions, objects of both versions, roots that are trusted, and a signer of another root."""
    if provider.name != "lab":
        pytest.skip("who asked for a Secret is read from the lab's audit log: PROVIDER=lab")
    with provider.api_server() as reached, evidence(reached, "jump"):

        def admin(*words: str, stdin: str | None = None) -> str:
            return lab.kubectl(reached.lab, *words, stdin=stdin)

        def put(*several: dict[str, Any]) -> None:
            listed = {"apiVersion": "v1", "kind": "List", "items": list(several)}
            admin("apply", "--server-side", "--field-manager=argocd", "--filename=-", stdin=json.dumps(listed))

        admin("apply", f"--filename={ROLES}")
        for name in ("shop", "istio-system"):
            admin("create", "namespace", name)
        put(definition(OLD, "v1", "v1beta1"))
        admin("wait", "--for=condition=Established", "crd/destinationrules.networking.istio.io", "--timeout=60s")
        key = base64.b64encode(b"a private key").decode()
        roots = {"root-cert.pem": base64.b64encode(pem("other").encode()).decode(), "ca-key.pem": key}
        put(
            plane(),
            named("ConfigMap", "istio-ca-root-cert", data={"root-cert.pem": pem("lasting")}),
            named("Secret", "cacerts", data=roots),
            rule("cart", host="cart", warm=3, mode="LEGACY"),
            rule("web", "v1beta1", host="web"),
            rule("ads", host="ads", mode="SIMPLE"),
        )
        group = f"--group={GROUPS['operator']}"
        for role in ("viewer", "operator"):
            admin("create", "clusterrolebinding", role, f"--clusterrole=meshup-{role}", group)
        person = provider.user(reached, "operator", (GROUPS["operator"],))
        yield Standing(reached, _door(reached.kubeconfig), _door(person))


def _door(kubeconfig: Path) -> Cluster:
    made = door(Aim(kubeconfig=str(kubeconfig)))
    made.whoami()
    return made


def checks(cluster: Cluster, folder: Path) -> Mapping[str, list[Mapping[str, Any]]]:
    """Run the preflight of a runbook of the next release; give what each check found."""
    (folder / "vendored").mkdir()
    (folder / "vendored" / "new.yaml").write_text(yaml.safe_dump(definition(NEW, "v1")))
    manifests = {"from": "directory", "path": str(folder / "vendored")}
    mesh = {"driver": "istio", "release": "1.31.0", "revision": "1-31-0", "manifests": manifests}
    book = {"apiVersion": "meshup.dev/v1", "kind": "Runbook", "metadata": {"name": "x"}, "mesh": mesh, "services": []}
    book |= {"waves": [], "stages": [{"name": "preflight", "before": [{"preflight": {}}]}]}
    loaded = load(yaml.safe_dump(book).encode(), name="x.yaml", kinds=kinds())
    assert loaded.runbook is not None, loaded.problems
    eyes = Eyes(
        cluster=cluster,
        driver=IstioSidecar(),
        clock=cluster.clock,
        book=loaded.runbook,
        services=(),
        place="preflight",
        revision="1-31-0",
    )
    found: Mapping[str, list[Mapping[str, Any]]] = Preflight().observe(eyes, Terms())["checks"]
    return found


def test_what_would_be_dropped_refused_or_no_longer_served_is_named_and_comes_true(
    standing: Standing, tmp_path: Path
) -> None:
    found = {each["object"]: each["because"] for each in checks(standing.admin, tmp_path)["removed-fields"]}
    assert found == {
        "DestinationRule shop/cart": "spec.warm is not in the release's definition: it would be dropped; "
        "spec.mode is not what the release's definition takes: 'LEGACY' is none of SIMPLE, MUTUAL",
        "DestinationRule shop/web": "argocd writes it as networking.istio.io/v1beta1, which the release does not serve",
    }
    put = ("apply", "--server-side", "--force-conflicts", "--field-manager=meshup", "--filename=-")
    lab.kubectl(standing.reached.lab, *put, stdin=json.dumps(definition(NEW, "v1")))
    assert pruned(standing.admin)["spec"] == {"host": "cart", "mode": "LEGACY"}
    with pytest.raises(lab.LabError, match="Unsupported value"):
        lab.kubectl(standing.reached.lab, *put, stdin=json.dumps(rule("new", host="cart", mode="LEGACY")))


def pruned(cluster: Cluster) -> Any:
    """Give cart once the server reads it by the new definition; as it is after a while when it never does."""
    ends = time.monotonic() + WAIT_S
    while "warm" in (found := cluster.get(RULE))["spec"] and time.monotonic() < ends:
        time.sleep(0.5)
    return found


def test_who_may_not_read_secrets_asks_for_none_and_is_told_so(standing: Standing, tmp_path: Path) -> None:
    since = audit.mark(home=standing.reached.lab)
    found = checks(standing.operator, tmp_path)
    assert found["certificates"] == []
    (soon,) = found["certificates-soon"]
    assert "Secret istio-system/cacerts may not be read" in soon["because"]
    asked = audit.requests(since=since, user="operator", home=standing.reached.lab)
    assert asked
    assert [each["requestURI"] for each in asked if "/secrets" in each["requestURI"]] == []
    assert [each["requestURI"] for each in asked if each["responseStatus"]["code"] == 403] == []


def test_who_may_is_told_of_a_signer_whose_root_nobody_trusts_and_keeps_no_key(
    standing: Standing, tmp_path: Path
) -> None:
    found = checks(standing.admin, tmp_path)
    (only,) = found["certificates"]
    assert only["object"] == "Secret istio-system/cacerts"
    assert "would sign by root other root, which is not among those" in only["because"]
    assert "private" not in json.dumps(found)
