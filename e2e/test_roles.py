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
OWN = ("ads",)
"""Of the tests whose owner pins or opts out, which would change what an operator's run does."""
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
        several = [deployment(name, enrolled=True) for name in (*NAMES, *OWN)] + [
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

    def of(role: str, *, revision: str = "1-30-3", names: Sequence[str] = NAMES) -> Person:
        person.kubeconfig = staffed.kubeconfigs[role]
        write_runbook(person.home, names, revision=revision)
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
    assert "bit for bit" in owner.meshup("replay", "shop/cart").out
    assert staffed.refusals("owner", since) == []
    written = staffed.writes("owner", since)
    assert any("/meshpins" in each for each in written), written
    assert all("/namespaces/shop/" in each or "/namespaces/meshup-system/" in each for each in written), written
    pins = json.loads(owner.kubectl("get", "meshpins", "-n", "shop", "-o", "json").out)["items"]
    users = [each["spec"]["requestedBy"]["username"] for each in pins if each["spec"]["service"] == "cart"]
    assert users == ["owner"], "as the server authenticated her"


def test_an_owner_opts_in_and_out_and_ends_a_pin_and_is_refused_nothing(someone: Any, staffed: Staffed) -> None:
    owner, since = someone("owner", names=OWN), staffed.mark
    owner.meshup("opt-in", "ads", "-n", "shop", "--not-before", "3d", "--reason", "after the sale")
    owner.meshup("opt-out", "shop/ads", "--reason", "not ready")
    owner.meshup("rollback", "shop/ads", "--to", "none", "--reason", "not ready", "--until", "3d", "--yes")
    owner.meshup("unpin", "shop/ads", "--reason", "mended")
    owner.meshup("pins", "-n", "shop")
    assert staffed.refusals("owner", since) == []
    written = staffed.writes("owner", since)
    assert sum("POST" in each or "create" in each for each in written if "/optins" in each) == 2, written
    outside = [each for each in written if "/namespaces/shop/" not in each]
    assert len(outside) == 1, "a copy of the pin, and nothing else"
    assert outside[0].startswith("create /apis/meshup.dev/v1/namespaces/meshup-system/meshpins?"), outside
    words = json.loads(owner.kubectl("get", "optins", "-n", "shop", "-o", "json").out)["items"]
    hers = [each["spec"] for each in words if each["spec"]["requestedBy"]["username"] == "owner"]
    assert sorted(each["joins"] for each in hers) == [False, True]
    owner.meshup("opt-in", "bank/till", code=None).is_one_error(exit_code=7, code="MU7101")


ACCOUNT = "system:serviceaccount:shop:deployer"


@pytest.fixture
def ci(someone: Any, staffed: Staffed) -> Person:
    """CI with a service account that holds the owner's roles and may vouch, and a person whose token it is handed."""
    person, home = someone("owner", names=OWN), staffed.reached.lab

    def admin(*words: str) -> str:
        return lab.kubectl(home, *words)

    if "deployer" not in admin("get", "serviceaccounts", "--namespace=shop", "--output=name"):
        for name in ("deployer", "ana"):
            admin("create", "serviceaccount", name, "--namespace=shop")
        account = "--serviceaccount=shop:deployer"
        for role, space in (
            ("owner", "shop"),
            ("vouch", "shop"),
            ("records", "meshup-system"),
            ("control-planes", "istio-system"),
        ):
            admin(
                "create", "rolebinding", f"ci-{role}", f"--clusterrole=meshup-{role}", account, f"--namespace={space}"
            )
        for role in ("owner-reads", "token-reviewer"):
            admin("create", "clusterrolebinding", f"ci-{role}", f"--clusterrole=meshup-{role}", account)
    token = admin("create", "token", "deployer", "--namespace=shop").strip()
    person.kubeconfig = lab.as_user("deployer", {"token": token}, home=home)
    return person


def of_ana(staffed: Staffed, *more: str) -> str:
    return lab.kubectl(staffed.reached.lab, "create", "token", "ana", "--namespace=shop", *more).strip()


def test_ci_performs_a_file_once_on_behalf_of_whom_a_token_proves(ci: Person, staffed: Staffed) -> None:
    wish = ["rollback", "shop/ads", "--to", "none", "--reason", "by pull request", "--until", "2d"]
    ci.meshup(*wish, "--write", "back.yaml")
    since = staffed.mark
    ci.more["MESHUP_ON_BEHALF_TOKEN"] = of_ana(staffed)
    said = ci.meshup("rollback", "--from", "back.yaml", code=None)
    said.is_one_error(exit_code=7, code="MU3412")
    assert ci.more["MESHUP_ON_BEHALF_TOKEN"] not in said.err + said.out
    assert [each for each in staffed.writes(ACCOUNT, since) if "/meshpins" in each] == []

    ci.more["MESHUP_ON_BEHALF_TOKEN"] = of_ana(staffed, "--audience=meshup")
    for _ in range(2):
        ci.meshup("rollback", "--from", "back.yaml")
    # No viewer, it looks at what it may: lists of the whole cluster are tried, and those of its namespaces do.
    assert [each for each in staffed.refusals(ACCOUNT, since) if not each.startswith(("list ", "get "))] == []
    pins = json.loads(ci.kubectl("get", "meshpins", "-n", "shop", "-o", "json").out)["items"]
    (spec,) = [each["spec"] for each in pins if each["spec"]["reason"] == "by pull request"]
    assert spec["requestedBy"]["username"] == ACCOUNT
    assert spec["onBehalfOf"] == {"name": "system:serviceaccount:shop:ana", "trust": "verified"}


def test_ci_without_a_token_declares_the_author_and_verifies_nobody(ci: Person) -> None:
    ci.more["MESHUP_ON_BEHALF_OF"] = "ana@shop.example"
    ci.meshup("opt-in", "shop/ads", "--reason", "by pull request", "--write", "in.yaml")
    ci.meshup("opt-in", "--from", "in.yaml")
    words = json.loads(ci.kubectl("get", "optins", "-n", "shop", "-o", "json").out)["items"]
    (spec,) = [each["spec"] for each in words if each["spec"].get("reason") == "by pull request"]
    assert (spec["requestedBy"]["username"], spec["onBehalfOf"]) == (
        ACCOUNT,
        {"name": "ana@shop.example", "trust": "declared"},
    )


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
