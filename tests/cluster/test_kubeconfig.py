"""Kubeconfigs as data: each case is a folder of files, an environment, what was asked for, and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from meshup.cluster.codes import CODES
from meshup.cluster.kubeconfig import Choice, Surroundings, access, contexts
from meshup.model.problem import MeshupError
from meshup.model.text import is_clean

CASES = sorted((Path(__file__).parent.parent / "cases" / "kubeconfig").glob("*.yaml"))


def laid_out(case, folder):
    for name, text in (case.get("files") or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if name in case.get("executable", ()):
            path.chmod(0o755)

    def here(each):
        return each.replace("$DIR", str(folder))

    environment = {key: here(each) for key, each in (case.get("environment") or {}).items()}
    asked = {
        key: here(each) if isinstance(each, str) else tuple(each) for key, each in (case.get("choice") or {}).items()
    }
    around = Surroundings(environment=environment, home=folder / "home", service_account=folder / "sa")
    return Choice(**asked), around


@pytest.mark.parametrize("path", CASES, ids=lambda each: each.stem)
def test_case(path, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    case = yaml.safe_load(path.read_text())
    expect = case["expect"]
    choice, around = laid_out(case, tmp_path)
    if "code" in expect:
        with pytest.raises(MeshupError) as failed:
            access(choice, around).login.current()
        error = failed.value
        assert error.code == expect["code"], error.what
        assert error.code in CODES
        assert int(error.exit) == expect["exit"]
        assert expect.get("says", "") in error.what
        assert expect.get("why", "") in error.why
        assert expect.get("fix", "") in error.fix
        assert error.fix
        assert is_clean(error.what)
        assert is_clean(error.why)
        if case.get("files"):
            assert error.at is not None or "kubeconfig" in error.what or "as" in error.what
        if expect.get("line"):
            assert error.at.line > 0
        return
    found = access(choice, around)
    for name in ("server", "context", "namespace", "insecure", "tls_server_name", "proxy_url"):
        if name in expect:
            assert getattr(found, name) == expect[name]
    if "ca" in expect:
        assert found.ca == expect["ca"].encode()
    if "impersonate" in expect:
        assert [list(each) for each in found.impersonate] == expect["impersonate"]
    credential = found.login.current()
    if "headers" in expect:
        assert [list(each) for each in credential.headers] == expect["headers"]
    if "certificate" in expect:
        assert (credential.certificate.decode(), credential.key.decode()) == (expect["certificate"], expect["key"])
    assert bool(found.plugin) == bool(expect.get("plugin", bool(found.plugin)))


def test_the_corpus_is_not_small():
    assert len(CASES) >= 50


def test_a_rotated_token_file_is_read_again(tmp_path):
    (tmp_path / "tok").write_text("one")
    (tmp_path / "a").write_text(
        "current-context: x\nclusters: [{name: c, cluster: {server: https://one}}]\n"
        "users: [{name: u, user: {tokenFile: tok}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
    )
    login = access(Choice(kubeconfig=str(tmp_path / "a")), Surroundings(environment={}, home=tmp_path)).login
    assert login.current().headers == (("authorization", "Bearer one"),)
    assert login.refresh() is False
    (tmp_path / "tok").write_text("two")
    assert login.refresh() is True
    assert login.current().headers == (("authorization", "Bearer two"),)


def test_contexts_are_those_of_all_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"contexts: [{{name: {name}, context: {{cluster: c, user: u}}}}]\n")
    around = Surroundings(environment={"KUBECONFIG": f"{tmp_path}/a:{tmp_path}/b"}, home=tmp_path)
    assert contexts(Choice(), around) == ("a", "b")


def test_an_expired_plugin_token_is_asked_for_again(tmp_path):
    (tmp_path / "plug").write_text(
        "#!/bin/sh\nn=$(cat $DIR/n 2>/dev/null || echo 0); n=$((n+1)); echo $n > $DIR/n\n"
        'echo \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
        '"status":{"token":"t\'$n\'","expirationTimestamp":"2020-01-01T00:00:00Z"}}\'\n'
    )
    (tmp_path / "plug").chmod(0o755)
    (tmp_path / "a").write_text(
        "current-context: x\nclusters: [{name: c, cluster: {server: https://one}}]\n"
        "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: ./plug, "
        f"env: [{{name: DIR, value: {tmp_path}}}]}}}}}}]\n"
        "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
    )
    login = access(Choice(kubeconfig=str(tmp_path / "a")), Surroundings(environment={}, home=tmp_path)).login
    assert login.current().headers == (("authorization", "Bearer t1"),)
    assert login.current().headers == (("authorization", "Bearer t2"),)


def test_a_plugin_that_hangs_is_fatal(tmp_path, monkeypatch):
    monkeypatch.setattr("meshup.cluster.credentials.PLUGIN_S", 0.3)
    (tmp_path / "plug").write_text("#!/bin/sh\nexec sleep 5\n")
    (tmp_path / "plug").chmod(0o755)
    (tmp_path / "a").write_text(
        "current-context: x\nclusters: [{name: c, cluster: {server: https://one}}]\n"
        "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: ./plug}}}]\n"
        "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
    )
    login = access(Choice(kubeconfig=str(tmp_path / "a")), Surroundings(environment={}, home=tmp_path)).login
    with pytest.raises(MeshupError) as failed:
        login.current()
    assert failed.value.code == "MU7006"
