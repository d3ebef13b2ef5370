"""Another stored version is a door that only opens one way: it is named, has no way back, and is accepted by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from onboarded import NEW, Onboarded, onboarded

from meshup.engine.execute import apply
from meshup.engine.planning import plan_from
from meshup.model.problem import MeshupError
from meshup.model.runbook import Manifests, Runbook
from meshup.model.shipped import shipped
from meshup.model.upgrade import Upgrade

DOOR = "storage-peerauthentications.security.istio.io"


def manifests(folder: Path, found: Upgrade, *, stored: str) -> Runbook:
    """The release's manifests in a folder; its definition of PeerAuthentication stores another version."""
    mesh = found.book.mesh
    words = {
        "$release": mesh.release,
        "$revision": mesh.revision,
        "$namespace": mesh.namespace,
        "$suffix": f"-{mesh.revision}",
    }
    for file in sorted(shipped("templates").joinpath("istio", "stand-in").glob("*.yaml")):
        text = file.read_text("utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        documents = [each for each in yaml.safe_load_all(text) if each]
        for each in documents:
            if each["metadata"]["name"].startswith("peerauthentications."):
                (only,) = each["spec"]["versions"]
                each["spec"]["versions"] = [{**only, "storage": stored == "v1"}]
                if stored != "v1":
                    each["spec"]["versions"].append({**only, "name": stored, "storage": True})
        (folder / file.name).write_text(yaml.safe_dump_all(documents), "utf-8")
    source = Manifests(source="directory", path=str(folder))
    return replace(found.book, mesh=replace(mesh, manifests=source))


@pytest.fixture
def made() -> Onboarded:
    return onboarded("tests/views/corner.yaml")


def test_the_same_stored_version_is_no_door(made: Onboarded, tmp_path: Path) -> None:
    assert made.plan(manifests(tmp_path, made.derive(), stored="v1")).one_way == ()


def test_another_stored_version_has_to_be_accepted_by_name(made: Onboarded, tmp_path: Path) -> None:
    book = manifests(tmp_path, made.derive(), stored="v1beta1")
    plan = made.plan(book)
    assert (plan.one_way, plan.accepted_one_way) == ((DOOR,), ())
    (change,) = (each for each in plan.changes() if each.one_way)
    assert change.inverse is None
    assert "objects are stored as v1beta1" in change.summary
    with pytest.raises(MeshupError) as refused:
        apply(made.session, plan)
    assert DOOR in f"{refused.value.what} {refused.value.why} {refused.value.fix}"
    assert NEW not in made.driver.installed(made.seen()).values()
    accepted = plan_from(made.session, book, made.seen(), made.driver, accept=(DOOR,))
    assert apply(made.session, accepted, through="control-plane").exit == 0
