"""The four roles of templates/rbac on a real API server: each does its work, and an owner nothing beyond it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Person
from enrolling import deployment, write_runbook
from forbidden import FORBIDDEN, Act

from e2e import lab
from e2e.lab import audit
from e2e.providers import Provider, Reached
from meshup.cluster.https import HttpsTransport
from meshup.cluster.kubeconfig import Choice, access
from meshup.model.transport import Request, Response

pytestmark = pytest.mark.e2e
ROLES = Path(__file__).resolve().parents[1] / "templates" / "rbac"
CRDS = ROLES.parent / "crds"
NAMES = ("cart", "web")
GROUPS = {"viewer": "viewers", "owner": "shop-team", "operator": "operators", "installer": "installers"}
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Staffed:
    """A real server with the roles, and one person for each of them."""

    reached: Reached
    kubeconfigs: dict[str, Path]

    def refusals(self, user: str, since: int) -> list[str]:
        """Give what a user was refused since a mark: "verb URI"."""
        events = audit.requests(since=since, user=user, home=self.reached.lab)
        return [f"{each['verb']} {each['requestURI']}" for each in events if each["responseStatus"]["code"] == 403]

    def writes(self, user: str, since: int) -> list[str]:
        """Give what a user wrote since a mark: "verb URI"."""
        events = audit.requests(since=since, user=user, home=self.reached.lab)
        return [
            f"{each['verb']} {each['requestURI']}"
            for each in events
            if audit.is_write(each) and each["responseStatus"]["code"] < 300
        ]

    @property
    def mark(self) -> int:
        """The present end of the audit log."""
        return audit.mark(home=self.reached.lab)


@pytest.fixture(scope="module")
def staffed(provider: Provider, evidence: Any) -> Iterator[Staffed]:
    """Roles applied and bound as their files say; two services of shop, one of bank, all pods ready."""
    if provider.name != "lab":
        pytest.skip("what a role does is read from the lab's audit log: PROVIDER=lab")
    with provider.api_server(fake_nodes=1) as reached, evidence(reached, "roles"):
        home = reached.lab

        def admin(*words: str, stdin: str | None = None) -> str:
            return lab.kubectl(home, *words, stdin=stdin)

        admin("apply", f"--filename={ROLES}", f"--filename={CRDS}")
        for name in ("shop", "bank", "istio-system"):
            admin("create", "namespace", name)
        several = [deployment(name, enrolled=True) for name in NAMES] + [
            deployment("till", enrolled=True, namespace="bank")
        ]
        admin("apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": several}))
        bind(admin)
        people = {role: provider.user(reached, role, (group,)) for role, group in GROUPS.items()}
        for name in ("shop", "bank"):
            admin("wait", "--for=condition=Available", "deployment", "--all", f"--namespace={name}", "--timeout=60s")
        yield Staffed(reached, people)


def bind(admin: Any) -> None:
    """Bind each role as its file says: in the whole cluster, an owner's in her namespace."""
    clusterwide = {
        "viewer": ("viewer",),
        "owner": ("viewer",),
        "operator": ("viewer", "operator"),
        "installer": ("viewer", "operator", "installer"),
    }
    for who, roles in clusterwide.items():
        group = f"--group={GROUPS[who]}"
        for role in roles:
            admin("create", "clusterrolebinding", f"{who}-{role}", f"--clusterrole=meshup-{role}", group)
            if role != "installer":
                home = "--namespace=meshup-system"
                admin("create", "rolebinding", f"{who}-{role}", f"--role=meshup-{role}", group, home)
    owners = f"--group={GROUPS['owner']}"
    admin("create", "rolebinding", "owners", "--clusterrole=meshup-owner", owners, "--namespace=shop")
    admin("create", "rolebinding", "owners", "--clusterrole=meshup-records", owners, "--namespace=meshup-system")
    planes = ("--clusterrole=meshup-control-planes", owners, "--namespace=istio-system")
    admin("create", "rolebinding", "owners", *planes)
    admin("create", "clusterrolebinding", "owners", "--clusterrole=meshup-owner-reads", owners)


@pytest.fixture
def someone(person: Person, staffed: Staffed) -> Any:
    """Give the person of a role, with a runbook that enrols shop/cart and shop/web on a vendored control plane."""

    def of(role: str, *, revision: str = "1-30-3") -> Person:
        person.kubeconfig = staffed.kubeconfigs[role]
        write_runbook(person.home, NAMES, revision=revision)
        return person

    return of


def sent(kubeconfig: Path, act: Act) -> Response:
    """Send one request as somebody."""
    content = "application/merge-patch+json" if act.method == "PATCH" else "application/json"
    body = b"" if act.body is None else json.dumps(act.body).encode()
    headers = {"accept": "application/json", **({"content-type": content} if body else {})}
    transport = HttpsTransport(access(Choice(kubeconfig=str(kubeconfig))))
    return transport.send(Request(method=act.method, path=act.path, headers=headers, body=body))


def test_there_are_forty_forbidden_acts_and_more() -> None:
    assert len({act.what for act in FORBIDDEN}) == len(FORBIDDEN) >= 40


@pytest.mark.parametrize("act", FORBIDDEN, ids=[act.what for act in FORBIDDEN])
def test_an_owner_may_not(act: Act, staffed: Staffed) -> None:
    answer = sent(staffed.kubeconfigs["owner"], act)
    assert answer.status == 403, answer.body
    assert json.loads(answer.body)["reason"] == "Forbidden"


def rules(path: Path) -> Sequence[dict[str, Any]]:
    """Give every rule of a file."""
    return [rule for each in yaml.safe_load_all(path.read_text()) for rule in each.get("rules") or ()]


@pytest.mark.parametrize("path", sorted(ROLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_role_can_grow(path: Path) -> None:
    verbs = {verb for rule in rules(path) for verb in rule["verbs"]}
    assert not verbs & {"escalate", "bind", "impersonate"}
    stars = [rule for rule in rules(path) if "*" in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])]
    assert not stars or path.stem == "installer", stars
    assert all("*" not in rule["apiGroups"] for rule in stars)


def test_an_owner_takes_a_service_back_and_is_refused_nothing(someone: Any, staffed: Staffed) -> None:
    owner, since = someone("owner"), staffed.mark
    owner.meshup("status")
    owner.meshup("rollback", "shop/cart", "--to", "none", "--reason", "timeouts to ledger", "--until", "7d", "--yes")
    assert staffed.refusals("owner", since) == []
    written = staffed.writes("owner", since)
    assert any("/meshpins" in each for each in written), written
    assert all("/namespaces/shop/" in each or "/namespaces/meshup-system/" in each for each in written), written
    pins = json.loads(owner.kubectl("get", "meshpins", "-n", "shop", "-o", "json").out)["items"]
    assert [each["spec"]["requestedBy"]["username"] for each in pins] == ["owner"], "as the server authenticated her"


def test_a_viewer_is_told_every_right_that_is_missing_before_anything_is_written(
    someone: Any, staffed: Staffed
) -> None:
    viewer, since = someone("viewer", revision="1-32"), staffed.mark
    planned = viewer.meshup("plan", "-o", "json").document()
    assert planned["summary"]["change"] >= 1
    viewer.meshup("status")
    said = viewer.meshup("apply", "--yes", code=7)
    said.is_one_error(exit_code=7, code="MU7101")
    for right in (
        "create configmaps meshup-system",
        "update coordination.k8s.io/leases meshup-system",
        "patch apps/deployments shop",
    ):
        assert right in said.err, said.err
    assert staffed.writes("viewer", since) == []
    tried = [each for each in staffed.refusals("viewer", since) if "dryRun=All" not in each]
    assert tried == [], "it asks whether it may, and does not try"


def test_an_operator_performs_a_run_and_is_refused_nothing(someone: Any, staffed: Staffed) -> None:
    operator, since = someone("operator", revision="1-33"), staffed.mark
    operator.meshup("apply", "--yes")
    assert staffed.refusals("operator", since) == []
    assert any("/deployments/web" in each for each in staffed.writes("operator", since))


@pytest.mark.parametrize("release", lab.ISTIOS, ids=lambda release: release.version)
def test_an_installer_applies_all_of_a_control_plane(
    release: lab.Istio, someone: Any, staffed: Staffed, tmp_path: Path
) -> None:
    istioctl = lab.istioctl(release)
    if not istioctl.exists():
        lab.build(["istio"])
    installer, since = someone("installer"), staffed.mark
    shutil.copy(istioctl, tmp_path / "istioctl")
    made = installer.program(
        str(tmp_path / "istioctl"), "manifest", "generate", "--set", f"revision={release.revision}"
    )
    (tmp_path / "istio.yaml").write_text(made.out)
    deadline = time.monotonic() + PATIENCE_S
    while True:  # what needs a definition is taken once that is served
        done = installer.kubectl("apply", "--server-side", "-f", str(tmp_path / "istio.yaml"), code=None)
        if done.code == 0 or "Forbidden" in done.err or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert done.code == 0, str(done)
    assert staffed.refusals("installer", since) == []
    installer.kubectl("delete", "mutatingwebhookconfigurations,validatingwebhookconfigurations", "--all")
