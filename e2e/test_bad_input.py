"""What is broken, hostile or gone: one clear error each, the right exit code, nothing written that was not planned."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Person, Said

pytestmark = pytest.mark.e2e


def kubeconfig(home: Path, server: str, user: dict[str, object]) -> Path:
    """Write a kubeconfig (JSON is YAML) with one cluster and one user."""
    path = home / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path


def free_port() -> int:
    """Give a port nobody listens on."""
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return int(each.getsockname()[1])


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that answers every request with one status, as an API server says it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            self.rfile.read(length)
            reason = {401: "Unauthorized", 403: "Forbidden"}[status]
            body = json.dumps(
                {
                    "kind": "Status",
                    "apiVersion": "v1",
                    "status": "Failure",
                    "message": reason,
                    "reason": reason,
                    "code": status,
                }
            ).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("command", [["init"], ["status"], ["report"]], ids=" ".join)
def test_an_unreachable_cluster_is_exit_7(person: Person, command: list[str]) -> None:
    person.kubeconfig = kubeconfig(person.home, f"http://127.0.0.1:{free_port()}", {"token": "t"})
    person.meshup(*command, code=None).is_one_error(exit_code=7)


def test_no_kubeconfig_at_all_is_one_error(person: Person) -> None:
    person.meshup("status", code=None).is_one_error(exit_code=2, code="MU7001")


def test_expired_credentials_are_exit_7(person: Person) -> None:
    with answering(401) as server:
        person.kubeconfig = kubeconfig(person.home, server, {"token": "expired"})
        said = person.meshup("status", code=None)
    said.is_one_error(exit_code=7)
    assert "expired" not in said.err.replace("have expired", "").replace("has expired", ""), "a token is never shown"


def test_no_permission_is_exit_7(person: Person) -> None:
    with answering(403) as server:
        person.kubeconfig = kubeconfig(person.home, server, {"token": "t"})
        person.meshup("status", code=None).is_one_error(exit_code=7)


def test_a_failing_plugin_is_exit_7_and_its_words_are_shown(person: Person) -> None:
    plugin = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": ["-c", "import sys; sys.stderr.write('please log in again\\n\\x1b[31mred'); sys.exit(3)"],
            "interactiveMode": "Never",
        }
    }
    person.kubeconfig = kubeconfig(person.home, f"https://127.0.0.1:{free_port()}", plugin)
    said = person.meshup("status", code=None)
    said.is_one_error(exit_code=7)
    assert "please log in again" in said.err


def test_a_plugin_that_is_not_there_is_exit_7(person: Person) -> None:
    plugin = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "no-such-login",
            "interactiveMode": "Never",
        }
    }
    person.kubeconfig = kubeconfig(person.home, f"https://127.0.0.1:{free_port()}", plugin)
    person.meshup("status", code=None).is_one_error(exit_code=7)


def test_a_server_that_hangs_up_is_exit_7(person: Person) -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def hang_up() -> None:
        with contextlib.suppress(OSError):  # nobody listens any more
            while True:
                listener.accept()[0].close()

    thread = threading.Thread(target=hang_up, daemon=True)
    thread.start()
    with listener:
        person.kubeconfig = kubeconfig(person.home, f"https://127.0.0.1:{listener.getsockname()[1]}", {"token": "t"})
        person.meshup("status", code=None).is_one_error(exit_code=7)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("not YAML", "stages: [\n"),
        ("control bytes", 'kind: "\x1b[31mRunbook"\n'),
        ("an alias", "a: &x [1]\nb: *x\n"),
        ("a bomb", "a: " + "[" * 300 + "]" * 300 + "\n"),
        ("a huge file", "a: " + "x" * 6_000_000 + "\n"),
        ("an empty file", ""),
        ("a list", "- a\n- b\n"),
        ("another kind", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"),
        ("a python tag", "a: !!python/object/apply:os.system [true]\n"),
        ("the same key twice", "kind: Runbook\nkind: Runbook\n"),
        ("bytes that are no text", "\udcff\udcfe"),
    ],
    ids=lambda each: each if len(each) < 30 and "\n" not in each and each.isprintable() else "-",
)
def test_a_broken_runbook_is_exit_2_with_its_place(person: Person, name: str, text: str) -> None:
    (person.home / "meshup.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    for command in (["lint"], ["plan"]):
        said = person.meshup(*command, code=None, timeout=20)
        assert said.code == 2, str(said)
        assert "Traceback" not in said.err + said.out, str(said)
        assert "MU9001" not in said.err + said.out, str(said)
        assert "\x1b" not in said.err + said.out
        assert "meshup.yaml" in said.err + said.out, str(said)


def test_a_runbook_that_is_not_there_is_exit_2(person: Person) -> None:
    for command in (["lint"], ["plan"], ["lint", "-f", "/dev/null/x"]):
        person.meshup(*command, code=None).is_one_error(exit_code=2)


def test_an_unknown_command_and_flag_are_exit_2(person: Person) -> None:
    assert "plan" in person.meshup("plna", code=2).err
    person.meshup("plna", code=None).is_one_error(exit_code=2, code="MU1001")
    person.meshup("plan", "--no-such-flag", code=None).is_one_error(exit_code=2, code="MU1001")


@pytest.mark.parametrize(
    "command", [["--help"], ["--version"], ["explain", "exit-codes"], ["schema", "runbook"]], ids=" ".join
)
def test_a_full_disk_is_one_error_and_not_exit_0(person: Person, command: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [str(person.programs.meshup), *command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=person.env,
        )
    assert done.returncode in (1, 2), done
    assert done.stderr.count("error[MU1006]") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("command", [["--help"], ["schema", "runbook"], ["explain", "exit-codes"]], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error(person: Person, command: list[str]) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" | true', "sh", str(person.programs.meshup), *command],
        capture_output=True,
        text=True,
        check=False,
        env=person.env,
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("output", "where"),
    [
        ("text", "| true"),
        ("events", "| true"),
        ("text", "2>/dev/full"),
        ("events", ">/dev/full"),
        ("json", ">/dev/full"),
        ("text", ">/dev/full 2>/dev/full"),
    ],
)
def test_a_run_that_nobody_reads_goes_on_and_keeps_its_exit_code(shop: Person, output: str, where: str) -> None:
    """A log that is full or a reader that goes away stops no rollout half-way: strict mode is held, as it should be."""
    shop.meshup("init")
    script = f'{{ "$@"; echo $? >code; }} {where}'
    command = [str(shop.programs.meshup), "apply", "--yes", "-o", output]
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *command],
        capture_output=True,
        text=True,
        check=False,
        env=shop.env,
        cwd=shop.home,
    )
    assert "Traceback" not in done.stderr
    assert (shop.home / "code").read_text().strip() == "3", done
    status = shop.meshup("status", "-o", "json").document()
    assert (status["state"], status["exit"]) == ("stopped", 3)


def test_a_report_that_can_not_be_written_is_found_before_the_run(shop: Person) -> None:
    shop.meshup("init")
    before = shop.mutations()
    for report in ("junit=/nonexistent/gates.xml", f"md={shop.home}"):
        said = shop.meshup("apply", "--yes", "--report", report, code=None)
        said.is_one_error(exit_code=2, code="MU1005")
    shop.meshup("apply", "--yes", "--journal", "/dev/null/x", code=None).is_one_error(exit_code=6, code="MU2313")
    assert shop.mutations() == before


def test_a_report_on_a_full_disk_hides_no_exit_code(shop: Person) -> None:
    shop.meshup("init")
    said = shop.meshup("apply", "--yes", "--report", "junit=/dev/full", code=3)
    assert "exit 3" in said.out
    assert "error[MU1006]" in said.err
    assert "nothing was changed" not in said.err, str(said)


def test_a_command_without_its_word_is_one_error(person: Person) -> None:
    for command in ("config", "simulator"):
        said = person.meshup(command, code=None)
        said.is_one_error(exit_code=2, code="MU1001")
        assert "needs one of" in said.err, str(said)


@pytest.mark.parametrize("command", [["--help"], ["explain", "exit-codes"], ["plan"]], ids=" ".join)
def test_a_closed_stdout_is_one_error_before_anything_is_done(person: Person, command: list[str]) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" >&-', "sh", str(person.programs.meshup), *command],
        capture_output=True,
        text=True,
        check=False,
        env=person.env,
    )
    assert Said(command, done.returncode, "", done.stderr).is_one_error(exit_code=2) == "MU1006"


def test_a_plan_of_another_cluster_is_refused(simulator, person: Person) -> None:
    simulator("--scenario", "shop")
    person.meshup("init")
    person.meshup("plan", "--out", "p.plan.json")
    person.meshup("simulator", "stop")
    simulator("--scenario", "shop", "--seed", "7")
    before = person.mutations()
    person.meshup("apply", "p.plan.json", "--yes", code=None).is_one_error(exit_code=6)
    assert person.mutations() == before


def test_a_hand_edited_plan_is_refused(shop: Person) -> None:
    shop.meshup("init")
    shop.meshup("plan", "--out", "p.plan.json")
    path = shop.home / "p.plan.json"
    text = path.read_text("utf-8")
    before = shop.mutations()
    assert "shop" in text
    for edited in (text.replace('"shop"', '"shop2"', 1), text[: len(text) // 2], "", "{}"):
        path.write_text(edited, "utf-8")
        said = shop.meshup("apply", "p.plan.json", "--yes", code=None)
        assert said.code in (2, 6), str(said)
        said.is_one_error(exit_code=said.code)
    assert shop.mutations() == before


def test_a_write_without_a_terminal_and_without_yes_is_exit_2(shop: Person) -> None:
    shop.meshup("init")
    before = shop.mutations()
    shop.meshup("apply", code=None).is_one_error(exit_code=2, code="MU1002")
    assert shop.mutations() == before


def test_hostile_names_reach_no_terminal(shop: Person) -> None:
    """An owner annotation holds escape sequences, markup and a change of direction."""
    hostile = "\x1b]0;owned\x07\x1b[31mred[/][bold]x\u202e"
    shop.kubectl("annotate", "-n", "shop", "deployment/cart", f"meshup.dev/owner={hostile}", "--overwrite")
    for command in (["init"], ["lint"], ["plan"], ["plan", "-o", "md"], ["plan", "-o", "json"], ["status"]):
        said = shop.meshup(*command, code=None)
        assert said.code in (0, 2, 6), str(said)
        assert "MU9001" not in said.err, str(said)
        for byte in ("\x1b", "\x07", "\u202e"):
            assert byte not in said.out + said.err, str(said)


def test_an_unknown_service_is_one_error(shop: Person) -> None:
    shop.meshup("init")
    shop.meshup("plan", "--service", "no-such-service", code=None).is_one_error(exit_code=2)
    before = shop.mutations()
    rollback = ["rollback", "no-such-service", "--to", "none", "--reason", "x", "--until", "7d", "--yes"]
    shop.meshup(*rollback, code=None).is_one_error(exit_code=2)
    assert shop.mutations() == before


def test_a_plan_file_on_a_full_disk_is_one_error(shop: Person) -> None:
    shop.meshup("init")
    said = shop.meshup("plan", "--out", "/dev/full", code=None)
    said.is_one_error(exit_code=2, code="MU1006")
    assert "/dev/full" in said.err, str(said)


def test_a_journal_on_a_full_disk_stops_before_the_next_write_and_is_resumed_without_it(shop: Person) -> None:
    """A limit on the size of files stands for the disk: what was done is on record in the cluster, and goes on."""
    shop.meshup("init")
    script = 'ulimit -f 40; exec "$@"'
    command = [str(shop.programs.meshup), "apply", "--yes", "--through", "onboard", "--journal", "j"]
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", *command],
        capture_output=True,
        text=True,
        check=False,
        env=shop.env,
        cwd=shop.home,
    )
    assert (done.returncode, "MU2313" in done.stdout + done.stderr) == (6, True), done
    assert "Traceback" not in done.stderr
    shop.meshup("apply", "--resume", "--yes", code=0)
    assert shop.meshup("status", "-o", "json").document()["state"] == "finished"


def test_a_home_that_can_not_be_written_to_keeps_nobody_from_reading(shop: Person) -> None:
    shop.more = {"HOME": "/proc", **{f"XDG_{each}_HOME": "/proc" for each in ("CONFIG", "STATE", "CACHE")}}
    shop.meshup("init")
    shop.meshup("plan")
    shop.meshup("explain", "strict")
    shop.kubeconfig = None
    shop.meshup("simulator", "start", code=None).is_one_error(exit_code=2, code="MU1005")
    shop.more = {}


def test_a_locale_without_letters_beyond_ascii_is_no_error(shop: Person) -> None:
    shop.more = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    shop.kubectl("annotate", "-n", "shop", "deployment/cart", "meshup.dev/owner=équipe-panier", "--overwrite")
    for command in (["init"], ["lint"], ["plan"], ["plan", "-o", "json"], ["status"], ["lint", "-f", "naïve.yaml"]):
        said = shop.meshup(*command, code=None)
        assert "MU9001" not in said.err, str(said)
        assert said.code == (2 if "naïve.yaml" in command else 0), str(said)


def test_a_fault_on_what_is_not_there_is_one_error(shop: Person) -> None:
    for each in ("broken:x/y", "no-such-fault", "broken"):
        shop.meshup("simulator", "fault", each, code=None).is_one_error(exit_code=6, code="MU5003")
