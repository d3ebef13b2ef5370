"""What stands in the cluster against the jump itself is found by the upgrade's preflight, before anything is installed."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from onboarded import NEW, Onboarded, onboarded

from meshup.engine.rehearse import differences
from meshup.model.problem import Exit
from meshup.model.runbook import Manifests, Runbook
from meshup.model.shipped import shipped

CERTIFICATES = Path(__file__).parent.parent / "cases" / "certificates"
KEY = "c2VjcmV0LWtleS1vZi10aGUtYXV0aG9yaXR5"
SECRET = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque"}


@pytest.fixture
def made() -> Onboarded:
    return onboarded("tests/views/corner.yaml")


def narrower(folder: Path, book: Runbook, *, without: str) -> Runbook:
    """The release's manifests in a folder, with one field less in the definition of PeerAuthentication."""
    mesh = book.mesh
    for file in sorted(shipped("templates").joinpath("istio", "stand-in").glob("*.yaml")):
        text = file.read_text("utf-8")
        for word, value in (("release", mesh.release), ("revision", mesh.revision), ("namespace", mesh.namespace)):
            text = text.replace(f"${word}", value)
        documents = [each for each in yaml.safe_load_all(text.replace("$suffix", f"-{mesh.revision}")) if each]
        for each in documents:
            if each["metadata"]["name"].startswith("peerauthentications."):
                fields = each["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
                del fields[without]
        (folder / file.name).write_text(yaml.safe_dump_all(documents), "utf-8")
    return replace(book, mesh=replace(mesh, manifests=Manifests(source="directory", path=str(folder))))


def put(made: Onboarded, body: dict[str, Any]) -> None:
    made.session.cluster.apply(body, manager="kubectl")


def signer(root: str) -> dict[str, Any]:
    pem = (CERTIFICATES / f"{root}.pem").read_bytes()
    data = {"ca-key.pem": KEY, "root-cert.pem": base64.b64encode(pem).decode()}
    return {**SECRET, "metadata": {"name": "cacerts", "namespace": "istio-system"}, "data": data}


def held(made: Onboarded, book: Runbook) -> str:
    """Apply, and give why it stopped in the preflight, with nothing of the release installed."""
    outcome = made.apply(book)
    assert (outcome.exit, outcome.stopped) == (Exit.GATE_HELD, "preflight"), outcome.why
    assert NEW not in made.driver.installed(made.seen()).values()
    return outcome.why


def test_an_object_that_uses_a_field_which_the_release_no_longer_has_holds_the_upgrade(
    made: Onboarded, tmp_path: Path
) -> None:
    meta = {"name": "by-port", "namespace": "shop"}
    spec = {"selector": {"matchLabels": {"app": "none"}}, "portLevelMtls": {"8080": {"mode": "DISABLE"}}}
    put(made, {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": meta, "spec": spec})
    why = held(made, narrower(tmp_path, made.derive().book, without="portLevelMtls"))
    assert (
        "removed-fields: PeerAuthentication shop/by-port: spec.portLevelMtls is not in the release's definition" in why
    )


def test_the_same_object_is_no_matter_where_the_release_still_has_the_field(made: Onboarded, tmp_path: Path) -> None:
    meta = {"name": "by-port", "namespace": "shop"}
    spec = {"selector": {"matchLabels": {"app": "none"}}, "portLevelMtls": {"8080": {"mode": "DISABLE"}}}
    put(made, {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": meta, "spec": spec})
    outcome = made.apply(narrower(tmp_path, made.derive().book, without="mtls"), through="control-plane")
    assert outcome.exit == 0, outcome.why


def test_a_signer_whose_root_nobody_trusts_holds_the_upgrade_and_its_key_is_kept_nowhere(made: Onboarded) -> None:
    before = made.seen()
    put(made, signer("other"))
    why = held(made, made.written())
    assert "certificates: Secret istio-system/cacerts: the new control plane would sign by root other root" in why
    kept = [each for each in made.session.cluster.list("v1", "ConfigMap", namespace="meshup-system")]
    written = json.dumps([*kept, *(dict(each) for each in made.seen().objects.values())])
    assert "other root" in written, "what the gate saw is kept, or nothing is proven here"
    assert KEY not in written
    assert base64.b64decode(KEY).decode() not in written
    assert differences(before, made.seen()) == ()


def test_a_signer_below_the_root_that_is_trusted_lets_the_upgrade_on(made: Onboarded) -> None:
    bundle = {"root-cert.pem": (CERTIFICATES / "lasting.pem").read_text("utf-8")}
    meta = {"name": "istio-ca-root-cert", "namespace": "istio-system"}
    made.simulation.server.objects.update(
        "configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": bundle}
    )
    put(made, signer("lasting"))
    assert made.apply(made.written(), through="control-plane").exit == 0
