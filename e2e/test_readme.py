"""What the README tells people to type: each line is run as it stands there, with the rights that it says are enough."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Person, Said

pytestmark = pytest.mark.e2e

README = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")
CODE = re.compile(r"# (\d+): ")
READS = ("viewer", "ana", "ben")


def block(mark: str) -> str:
    """Give the fenced block below a mark."""
    found = re.search(rf"<!-- {mark} -->\n```\w*\n(.*?)```", README, re.DOTALL)
    assert found, mark
    return found[1]


def run(person: Person, line: str) -> Said:
    """Run one line of the README; the number behind its # is the exit code it must have."""
    code = int(found[1]) if (found := CODE.search(line)) else 0
    program, *arguments = shlex.split(line, comments=True)
    return {"meshup": person.meshup, "kubectl": person.kubectl}[program](*arguments, code=code)


def told(person: Person, lines: list[str]) -> dict[str, Said]:
    """Run lines one after the other; an export of a simulator's kubeconfig makes somebody else of the person."""
    said = {}
    for line in lines:
        text = line.split("#")[0].strip()
        if found := re.fullmatch(r"export KUBECONFIG=~/\.local/state/(\S+)", text):
            person.kubeconfig = Path(person.env["XDG_STATE_HOME"]) / found[1]
            assert person.kubeconfig.is_file(), line
            continue
        said[text] = run(person, line)
    return said


def test_owner_and_platform_owner_go_side_by_side_as_it_is_told(
    simulator: Callable[..., Person], person: Person
) -> None:
    (person.home / "templates").symlink_to(Path(__file__).resolve().parents[1] / "templates")
    first, *lines = block("people").splitlines()
    assert first == "meshup simulator start --scenario shop"
    simulator("--scenario", "shop")
    said = told(person, lines)
    back = "alice took shop/cart to 1.29.4"
    assert (
        "bob may not act for services of namespace shop"
        in next(each for line, each in said.items() if "not mine" in line).err
    )
    for line in ("meshup releases", "meshup plan", "meshup apply --through onboard --yes"):
        assert back in " ".join((said[line].out + said[line].err).split()), str(said[line])
    assert back in said['meshup releases promote 1.30.3 --reason "qualified"'].err
    assert re.search(r"shop/cart .* OVERDUE", said["meshup pins"].out), str(said["meshup pins"])
    assert not re.search(r"shop/reviews .* OVERDUE", said["meshup pins"].out)


def test_the_tour_goes_as_it_is_told(simulator: Callable[..., Person], person: Person) -> None:
    lines = block("tour").splitlines()
    assert lines[0].split("#")[0].strip() == "meshup simulator start --scenario shop"
    assert lines[1].startswith("export KUBECONFIG=")
    simulator("--scenario", "shop")
    said = {line.split("#")[0].strip(): run(person, line) for line in lines[2:]}
    assert len(said) == len(lines) - 2
    held = said["meshup apply --resume --through minimise --yes"]
    assert "CronJob data/reports" in held.out
    assert "timeouts to ledger" in said["meshup report"].out
    for line, each in said.items():
        if line.startswith(("meshup apply", "meshup plan", "meshup status", "meshup r")):
            last = [row for row in each.out.splitlines() if not row.startswith(" ")][-1]
            assert last.startswith("Next "), str(each)


@pytest.fixture
def roles(shop: Person) -> Person:
    """The roles of the README, bound as it says."""
    (shop.home / "roles.yaml").write_text(block("roles"), "utf-8")
    shop.kubectl("apply", "-f", "roles.yaml")
    shop.meshup("init")
    shop.meshup("apply", "--through", "onboard", "--yes")
    users = [f"--user={each}" for each in READS]
    shop.kubectl("create", "clusterrolebinding", "readers", "--clusterrole=meshup-viewer", *users)
    record = ["rolebinding", "recorders", "-n", "meshup-system", "--clusterrole=meshup-recorder"]
    shop.kubectl("create", *record, "--user=ana", "--user=ben")
    shop.kubectl("create", "rolebinding", "owners", "-n", "shop", "--clusterrole=meshup-owner", "--user=ana")
    return shop


def test_a_viewer_sees_everything_and_writes_nothing(roles: Person) -> None:
    before = roles.mutations()
    for command in (["plan"], ["status"], ["report"], ["pins"], ["init", "-f", "another.yaml"]):
        roles.meshup(*command, "--as", "viewer")
    assert "viewer may not: create" in roles.meshup("plan", "--as", "viewer").out
    assert roles.mutations() == before
    kept = roles.kubectl("get", "configmaps,leases", "-n", "meshup-system", "-o", "yaml").out
    roles.meshup("apply", "--yes", "--as", "viewer", code=None).is_one_error(exit_code=7, code="MU7101")
    assert roles.kubectl("get", "configmaps,leases", "-n", "meshup-system", "-o", "yaml").out == kept


def test_an_owner_moves_their_own_and_nobody_elses(roles: Person) -> None:
    back = ["--to", "none", "--reason", "not ready", "--until", "3d", "--as", "ana"]
    first = roles.meshup("rollback", "cart", *back, code=None)
    path = first.is_one_error(exit_code=6, code="MU2316") and re.search(r"kubectl apply -f (\S+)", first.err)
    assert path, "the error names the file that somebody else has to apply"
    roles.kubectl("apply", "-f", path[1])
    roles.meshup("rollback", "cart", *back)
    pins = roles.meshup("pins", "-o", "json", "--as", "ana").document()["pins"]
    assert [(each["service"], each["user"], each["to"]) for each in pins] == [("cart", "ana", "none")]
    roles.meshup("rollback", "mailer", *back, code=None).is_one_error(exit_code=7, code="MU7101")


def test_a_second_person_approves(roles: Person) -> None:
    path = roles.home / "meshup.yaml"
    text = path.read_text("utf-8")
    assert "      - {guard-armed: {}}\n" in text
    path.write_text(text.replace("      - {guard-armed: {}}\n", "      - {approval: {}}\n      - {guard-armed: {}}\n"))
    roles.meshup("plan", "--out", "p.plan.json")
    said = roles.meshup("apply", "p.plan.json", "--yes", code=5)
    assert "meshup approve strict/workload" in said.out
    roles.meshup("approve", "strict", code=None).is_one_error(exit_code=6, code="MU2333")
    roles.meshup("approve", "strict", "--as", "ben")
    roles.meshup("apply", "--resume", "--yes", code=3)


def test_each_line_for_an_owner_does_what_it_says(shop: Person) -> None:
    shop.meshup("init")
    shop.meshup("apply", "--through", "onboard", "--yes")
    lines = re.search(r"## For the owner of a service\n\n```\n(.*?)```", README, re.DOTALL)
    assert lines
    for line in lines[1].splitlines():
        run(shop, line)
    pins = shop.meshup("pins", "-o", "json").document()["pins"]
    assert [(each["to"], each["phase"]) for each in pins] == [("1.29.4", "Closed"), ("none", "Closed")]
    status = shop.meshup("status", "-o", "json").document()
    assert [each["word"] for each in status["services"] if each["service"] == "cart"] == [
        "opted out by kubernetes-admin"
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_one_that_the_shell_reads(person: Person, shell: str, tmp_path: Path) -> None:
    import shutil
    import subprocess

    script = tmp_path / "script"
    script.write_text(person.meshup("completion", shell).out)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not on this machine")
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
