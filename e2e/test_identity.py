"""Who meshup is to a real API server, by every kind of credential; kubectl is asked beside it and must agree."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Person
from enrolling import deployment, write_runbook

from e2e import lab
from e2e.lab import audit, pki
from e2e.providers import Provider, Reached

pytestmark = pytest.mark.e2e
ROLES = Path(__file__).resolve().parents[1] / "templates" / "rbac"
API = "client.authentication.k8s.io/v1"
PLUGIN = """\
#!{python}
import json, pathlib, sys, time
here = pathlib.Path({folder!r})
calls = here / "calls"
number = len(calls.read_text()) if calls.exists() else 0
calls.write_text("." * (number + 1))
answers = json.loads((here / "answers.json").read_text())
answer = answers[min(number, len(answers) - 1)]
if "hang" in answer:
    time.sleep(600)
if "fail" in answer:
    print(answer["fail"], file=sys.stderr)
    sys.exit(1)
status = {{"token": answer["token"]}}
if "lives_s" in answer:
    ends = time.gmtime(time.time() + answer["lives_s"])
    status["expirationTimestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", ends)
print(json.dumps({{"apiVersion": "{api}", "kind": "ExecCredential", "status": status}}))
"""


@pytest.fixture(scope="module")
def server(provider: Provider, evidence: Any) -> Iterator[Reached]:
    """A real server with two service accounts of the same rights, and a Deployment to enrol."""
    if provider.name != "lab":
        pytest.skip("credentials of every kind are made by the lab: PROVIDER=lab")
    with provider.api_server(fake_nodes=1) as reached, evidence(reached, "identity"):
        home = reached.lab
        for name in ("ops", "shop"):
            lab.kubectl(home, "create", "namespace", name)
        for name in ("runner", "other"):
            lab.kubectl(home, "create", "serviceaccount", name, "--namespace=ops")
        subjects = "--group=system:serviceaccounts:ops"
        lab.kubectl(home, "create", "clusterrolebinding", "ops", "--clusterrole=cluster-admin", subjects)
        lab.kubectl(home, "apply", f"--filename={ROLES}", f"--filename={ROLES.parent / 'crds'}")
        lab.kubectl(home, "create", "clusterrolebinding", "team", "--clusterrole=meshup-viewer", "--group=team")
        records = ("create", "rolebinding", "team", "--role=meshup-viewer", "--group=team", "--namespace=meshup-system")
        lab.kubectl(home, *records)
        lab.kubectl(home, "apply", "--filename=-", stdin=json.dumps(deployment("cart", enrolled=False)))
        lab.kubectl(
            home, "wait", "--for=condition=Available", "deployment", "--all", "--namespace=shop", "--timeout=60s"
        )
        yield reached


@pytest.fixture
def reader(person: Person) -> Callable[[Path], Person]:
    """Give a person with a kubeconfig and a runbook for shop/cart."""

    def of(kubeconfig: Path) -> Person:
        person.kubeconfig = kubeconfig
        write_runbook(person.home, ("cart",))
        return person

    return of


@pytest.fixture
def plugin(tmp_path: Path, server: Reached) -> Callable[..., Path]:
    """Give a kubeconfig whose exec plugin answers, call after call, as told."""
    folder = tmp_path / "plugin"

    def of(*answers: dict[str, Any]) -> Path:
        folder.mkdir()
        (folder / "answers.json").write_text(json.dumps(answers))
        program = folder / "login"
        program.write_text(PLUGIN.format(python=sys.executable, folder=str(folder), api=API))
        program.chmod(0o755)
        spec = {"apiVersion": API, "command": str(program), "interactiveMode": "Never"}
        return lab.as_user("plugged", {"exec": spec}, home=server.lab)

    return of


def calls(tmp_path: Path) -> int:
    """Give how often the plugin was called."""
    return len((tmp_path / "plugin" / "calls").read_text())


def agree(person: Person, name: str) -> None:
    """Check that meshup and kubectl are the same user to the server."""
    assert f" as {name}\n" in person.meshup("status").out
    who = json.loads(person.kubectl("auth", "whoami", "-o", "json").out)
    assert who["status"]["userInfo"]["username"] == name


def account(name: str) -> str:
    """Give the user name of a service account."""
    return f"system:serviceaccount:ops:{name}"


def test_a_client_certificate(reader: Any, server: Reached) -> None:
    agree(reader(lab.user("ana", ["team"], home=server.lab)), "ana")


def test_a_client_certificate_in_files(reader: Any, server: Reached) -> None:
    cert, key = lab.certificate("ben", ["team"], home=server.lab)
    identity = {"client-certificate": str(cert), "client-key": str(key)}
    agree(reader(lab.as_user("ben", identity, home=server.lab)), "ben")


def test_a_certificate_that_has_expired(reader: Any, server: Reached) -> None:
    assert server.lab is not None
    cert, key = pki.Authority(server.lab.pki, "ca").issue_outdated("old", "old")
    late = reader(lab.as_user("old", {"client-certificate": str(cert), "client-key": str(key)}, home=server.lab))
    late.meshup("status", code=7).is_one_error(exit_code=7)
    assert late.kubectl("auth", "whoami", code=None).code != 0


def test_a_certificate_of_another_authority(reader: Any, server: Reached, tmp_path: Path) -> None:
    stranger = pki.Authority(tmp_path / "lab" / "pki", "other")
    stranger.create()
    identity = pki.certificate_identity(*stranger.issue("eve", "eve", ("system:masters",)))
    eve = reader(lab.as_user("eve", identity, home=server.lab))
    eve.meshup("status", code=7).is_one_error(exit_code=7)
    assert eve.kubectl("auth", "whoami", code=None).code != 0


def test_a_server_of_another_authority_is_not_spoken_to(reader: Any, server: Reached, tmp_path: Path) -> None:
    stranger = pki.Authority(tmp_path / "lab" / "pki", "other")
    stranger.create()
    path = lab.user("ana", ["team"], home=server.lab)
    document = json.loads(path.read_text())
    document["clusters"][0]["cluster"]["certificate-authority-data"] = pki.inline(stranger.cert)
    other = tmp_path / "kubeconfig"
    other.write_text(json.dumps(document))
    reader(other).meshup("status", code=7).is_one_error(exit_code=7)


def test_a_bearer_token(reader: Any, server: Reached) -> None:
    token = lab.token("runner", "ops", home=server.lab)
    agree(reader(lab.as_user("token", {"token": token}, home=server.lab)), account("runner"))


def test_a_token_that_is_none(reader: Any, server: Reached) -> None:
    nobody = reader(lab.as_user("bad", {"token": "not.a.token"}, home=server.lab))
    nobody.meshup("status", code=7).is_one_error(exit_code=7)
    assert nobody.kubectl("auth", "whoami", code=None).code != 0


def test_a_token_file_is_read_again(reader: Any, server: Reached, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("not.a.token")
    runner = reader(lab.as_user("file", {"tokenFile": str(file)}, home=server.lab))
    runner.meshup("status", code=7).is_one_error(exit_code=7)
    file.write_text(lab.token("runner", "ops", home=server.lab) + "\n")
    agree(runner, account("runner"))


def test_a_token_of_an_account_that_is_gone(reader: Any, server: Reached) -> None:
    lab.kubectl(server.lab, "create", "serviceaccount", "leaver", "--namespace=ops")
    token = lab.token("leaver", "ops", home=server.lab)
    left = reader(lab.as_user("leaver", {"token": token}, home=server.lab))
    agree(left, account("leaver"))
    lab.kubectl(server.lab, "delete", "serviceaccount", "leaver", "--namespace=ops")
    deadline = time.monotonic() + 30  # a server remembers for some seconds that it knew a token
    while (said := left.meshup("status", code=None)).code == 0:
        assert time.monotonic() < deadline, str(said)
        time.sleep(1)
    said.is_one_error(exit_code=7)


def test_impersonation(reader: Any, server: Reached) -> None:
    admin = reader(lab.user("root", ["system:masters"], home=server.lab))
    assert " as cleo\n" in admin.meshup("status", "--as", "cleo", "--as-group", "team").out
    admin.meshup("status", "--as", "nobody-known", code=7).is_one_error(exit_code=7)
    may_not = reader(lab.user("ana", ["team"], home=server.lab))
    may_not.meshup("status", "--as", "root", code=7).is_one_error(exit_code=7)


def test_an_exec_plugin(reader: Any, server: Reached, plugin: Any) -> None:
    agree(reader(plugin({"token": lab.token("runner", "ops", home=server.lab)})), account("runner"))


def test_an_exec_plugin_is_asked_again_when_its_token_is_refused(
    reader: Any, server: Reached, plugin: Any, tmp_path: Path
) -> None:
    runner = reader(plugin({"token": "spent"}, {"token": lab.token("runner", "ops", home=server.lab)}))
    assert f" as {account('runner')}\n" in runner.meshup("status").out
    assert calls(tmp_path) == 2


def test_an_exec_plugin_that_fails(reader: Any, plugin: Any) -> None:
    said = reader(plugin({"fail": "log in first: shop-login"})).meshup("status", code=7)
    said.is_one_error(exit_code=7)
    assert "log in first: shop-login" in said.err


def test_an_exec_plugin_that_hangs(reader: Any, plugin: Any) -> None:
    said = reader(plugin({"hang": True})).meshup("status", code=7, timeout=120)
    said.is_one_error(exit_code=7)
    assert "60" in said.err, "how long it was waited for"


def test_an_exec_plugin_that_is_somebody_else_in_the_middle_of_a_run(
    reader: Any, server: Reached, plugin: Any, tmp_path: Path
) -> None:
    first, second = (lab.token(name, "ops", home=server.lab) for name in ("runner", "other"))
    runner = reader(plugin({"token": first, "lives_s": 33}, {"token": second}))
    said = runner.meshup("apply", "--yes", code=7)
    told = said.out + said.err
    assert "MU7008" in told, str(said)
    assert f"now speak for {account('other')}, before for {account('runner')}" in told, str(said)
    written = audit.requests(user=account("other"), home=server.lab)
    assert [each["requestURI"] for each in written if audit.is_write(each)] == [], "nothing as the other"
    again = reader(lab.as_user("token", {"token": first}, home=server.lab))
    again.meshup("apply", "--resume", "--yes")
