"""From a cluster to a file and back: the commands as a person types them, on the simulator."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from at_home import at_home
from killing import Killed, Killer, Loser
from test_pins import pin

from meshup.cli.main import main
from meshup.cli.simulating import programs
from meshup.cluster.connect import over
from meshup.journal import exports
from meshup.journal.chain import Chain
from meshup.journal.definitions import definition, ensure
from meshup.journal.export import read, sound
from meshup.journal.ledger import advance, pins
from meshup.journal.pin import from_body, to_body
from meshup.journal.retention import due, let_go
from meshup.model.holds import DAY_S, HoldAt
from meshup.model.objects import Ref
from meshup.model.problem import Refused
from meshup.simulate.scenario import load as scene

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
SECRET = "hunter2-hunter2"
OVER = 6


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A person's folder with a kubeconfig of the simulator."""
    with at_home(scene("shop", programs=programs()).server, tmp_path, monkeypatch) as front:
        yield front


@pytest.fixture
def plain(shop):
    """The door to it, and pins in it: six that are over, one in effect."""
    cluster = over(shop.server, shop.server.clock, in_flight=1)
    ensure(cluster, "meshpins", pause=shop.server.clock.sleep)
    for number in range(OVER + 1):
        written(cluster, number, closed=number < OVER)
    return cluster


def written(cluster, number, *, closed=True, **more):
    since = cluster.clock.now() - timedelta(days=500 - number)
    made = pin(
        name=f"cart-{number}", namespace="shop", since=since, until=since + timedelta(days=7), trust="declared", **more
    )
    body = to_body(made)
    body["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": SECRET}
    body["metadata"]["labels"] = {"token": SECRET}
    found = from_body(cluster.create(body))
    at = (since + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    advance(cluster, found, "Active", message="its password is kept apart")
    if closed:
        advance(cluster, found, "Closed", by="ana", at=at)


@pytest.fixture
def call(capsys):
    def asked(*arguments, code=0):
        assert main(list(arguments)) == code, capsys.readouterr()
        return capsys.readouterr()

    return asked


def test_an_export_is_whole_goes_on_and_holds_what_the_cluster_has(plain, call, tmp_path):
    said = json.loads(call("ledger", "export", "--out", "l.jsonl", "-o", "json").out)
    data = (tmp_path / "l.jsonl").read_bytes()
    assert (said["new"], said["on_record"]) == (OVER + 1, True)
    assert sound(data, head=said["head"]).why == ""
    assert said["head"] in call("ledger", "verify", "l.jsonl", "--head", said["head"][:12]).out
    assert "nothing was new" in call("ledger", "export", "--after", "l.jsonl").out
    assert (tmp_path / "l.jsonl").read_bytes() == data
    written(plain, 9)
    assert "1 record added" in call("ledger", "export", "--after", "l.jsonl").out
    grown = (tmp_path / "l.jsonl").read_bytes()
    assert grown.startswith(data)
    assert sound(grown).why == ""
    assert [each.lines for each in exports.heads(plain)] == [data.count(b"\n"), grown.count(b"\n")]
    call("ledger", "export", "--out", "l.jsonl", code=2)


def test_what_goes_to_stdout_is_the_file_and_nothing_else(plain, call):
    said = call("ledger", "export")
    assert sound(said.out.encode()).why == ""
    assert sound(said.out.encode()).head in said.err


def test_no_secret_and_no_control_byte_reaches_a_file(plain, call, tmp_path):
    body = to_body(pin(name="odd-1", namespace="shop"))
    body["spec"]["reason"] = "red \x1b[31m \u202e and back"
    plain.create(body)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "shop"},
        "stringData": {"a": SECRET},
    }
    plain.create(secret)
    call("ledger", "export", "--out", "l.jsonl")
    text = (tmp_path / "l.jsonl").read_text()
    assert SECRET not in text
    assert '"odd-1"' in text
    assert [
        each for each in text if each != "\n" and (ord(each) < 32 or 127 <= ord(each) < 160 or each == "\u202e")
    ] == []


def test_verify_names_the_first_wrong_line_and_ends_with_6(plain, call, tmp_path):
    call("ledger", "export", "--out", "l.jsonl")
    good = (tmp_path / "l.jsonl").read_bytes()
    (tmp_path / "l.jsonl").write_bytes(good.replace(b'"cart-3"', b'"cart-8"', 1))
    said = call("ledger", "verify", "l.jsonl", code=6).err
    assert "error[MU2318]" in said
    assert "line 5 is wrong" in said
    assert "it was edited" in said
    for command in (("export", "--after", "l.jsonl"), ("prune", "l.jsonl", "--yes")):
        assert "MU2318" in call("ledger", *command, code=6).err
    call("ledger", "verify", "none.jsonl", code=2)
    call("ledger", "verify", "l.jsonl", "--head", "xyz", code=2)


def test_verify_contacts_nothing(plain, call, shop):
    call("ledger", "export", "--out", "l.jsonl")
    before = shop.requests
    call("ledger", "verify", "l.jsonl")
    assert shop.requests == before


def test_a_file_put_back_to_an_older_state_is_not_gone_on_from(plain, call, tmp_path):
    call("ledger", "export", "--out", "l.jsonl")
    older = (tmp_path / "l.jsonl").read_bytes()
    written(plain, 9)
    call("ledger", "export", "--after", "l.jsonl")
    (tmp_path / "l.jsonl").write_bytes(older)
    assert "MU2319" in call("ledger", "export", "--after", "l.jsonl", code=6).err
    assert "MU2319" in call("ledger", "prune", "l.jsonl", "--yes", code=6).err
    assert len(pins(plain)) == OVER + 2


def test_a_file_that_is_not_on_record_lets_nothing_go(plain, call):
    call("ledger", "export", "--out", "l.jsonl")
    plain.delete(exports.PLACE, uid=plain.get(exports.PLACE)["metadata"]["uid"])
    assert "MU2319" in call("ledger", "prune", "l.jsonl", "--yes", code=6).err
    assert len(pins(plain)) == OVER + 1


def test_pins_that_are_over_go_after_their_time_and_only_as_they_stand_in_the_export(plain, call):
    call("ledger", "export", "--out", "l.jsonl")
    written(plain, 9, service="web")
    shown = call("ledger", "prune", "l.jsonl")
    assert "7 over" in shown.out
    assert "delete    MeshPin shop/cart-0" in shown.out
    assert "cart-9, Closed" in shown.out
    assert "it is not in the export" in shown.out
    assert shown.out.splitlines()[-1] == "Next      meshup ledger prune l.jsonl --yes"
    assert json.loads(call("ledger", "prune", "l.jsonl", "-o", "json").out)["performed"] is False
    assert len(pins(plain)) == OVER + 2
    assert "6 pins" in call("ledger", "prune", "l.jsonl", "--yes").out
    assert [each.name for each in pins(plain)] == ["cart-6", "cart-9"]
    assert "Next      meshup ledger export --after l.jsonl" in call("ledger", "prune", "l.jsonl").out
    call("ledger", "export", "--after", "l.jsonl")
    call("ledger", "prune", "l.jsonl", "--yes")
    assert "no pin is due" in call("ledger", "prune", "l.jsonl").out


def test_a_hold_is_not_lifted_by_who_tidies_up(plain, call):
    ensure(plain, "meshreleases", pause=plain.clock.sleep)
    for number in range(4):
        began = plain.clock.now() - timedelta(hours=2)
        body = to_body(pin(name=f"s{number}", namespace="shop", service=f"s{number}", user=f"u{number}", since=began))
        advance(plain, from_body(plain.create(body)), "Closed", by="ana", at=f"{began:%Y-%m-%dT%H:%M:%SZ}")
    call("releases", "add", "1.30.3")
    held = call("releases", "promote", "1.30.3", "--reason", "fine", code=3).err
    call("ledger", "export", "--out", "l.jsonl")
    shown = call("ledger", "prune", "l.jsonl", "--older", "1s", "--most", "0", "--yes").out
    assert shown.count("the verdict on 1.30.3 rests on it") == 4
    assert [each.name for each in pins(plain)] == ["cart-6", "s0", "s1", "s2", "s3"]
    assert call("releases", "promote", "1.30.3", "--reason", "fine", code=3).err == held
    said = json.loads(call("ledger", "prune", "l.jsonl", "--older", "1s", "-o", "json").out)
    assert [each["release"] for each in said["resting"]] == ["1.30.3"] * 4


def test_the_next_command_keeps_what_was_asked_for(plain, call):
    call("ledger", "export", "--out", "l.jsonl")
    shown = call("ledger", "prune", "l.jsonl", "--older", "6h", "--most", "7").out
    assert "which stay 6h, the newest 7 of them" in shown
    follow = shown.splitlines()[-1].removeprefix("Next      meshup ")
    assert follow == "ledger prune l.jsonl --older 6h --most 7 --yes"
    assert "6 pins" in call(*follow.split()).out


def test_who_may_not_let_pins_go_is_told_each_right_that_is_missing(plain, call):
    call("ledger", "export", "--out", "l.jsonl")
    pia = ("--as", "pia", "--as-group", "platform")
    shown = call("ledger", "prune", "l.jsonl", *pia).out
    assert "missing   you may not delete meshup.dev/meshpins shop" in shown
    assert "templates/rbac/retention.yaml" in shown.splitlines()[-1]
    said = call("ledger", "prune", "l.jsonl", "--yes", *pia, code=7).err
    assert "MU7101" in said
    assert "delete meshup.dev/meshpins meshup-system" in said
    assert "templates/rbac/retention.yaml" in said
    assert len(pins(plain)) == OVER + 1


def test_a_pin_that_changed_since_the_export_stays(plain, call, tmp_path):
    call("ledger", "export", "--out", "l.jsonl")
    ref = Ref(api_version="meshup.dev/v1", kind="MeshPin", namespace="shop", name="cart-0")
    plain.update_status(ref, {"message": "written over by somebody"})
    found = read((tmp_path / "l.jsonl").read_bytes())
    told = due(plain, found, path="l.jsonl", now=plain.clock.now(), at=HoldAt(), stay_s=0, most=0)
    assert [(each.name, why) for each, why in told.left] == [("cart-0", "it changed since the export")]
    assert [each.pin.name for each in told.going] == [f"cart-{number}" for number in range(1, OVER)]


def test_no_more_than_so_many_that_are_over_stay(plain, call, tmp_path):
    call("ledger", "export", "--out", "l.jsonl")
    found = read((tmp_path / "l.jsonl").read_bytes())
    told = due(plain, found, path="l.jsonl", now=plain.clock.now(), at=HoldAt(), stay_s=600 * DAY_S, most=2)
    assert [each.pin.name for each in told.going] == ["cart-0", "cart-1", "cart-2", "cart-3"]
    assert due(plain, found, path="l.jsonl", now=plain.clock.now(), at=HoldAt(), stay_s=600 * DAY_S).going == ()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("how", [Killer, Loser])
def test_killed_or_lost_at_any_write_each_pin_goes_once_and_none_that_is_not_exported(
    shop, plain, call, tmp_path, how, when
):
    call("ledger", "export", "--out", "l.jsonl")
    found = read((tmp_path / "l.jsonl").read_bytes())
    for at in range(1, 5):
        cluster = over(how(shop.server, at=at, when=when), shop.server.clock, in_flight=1)
        due_now = due(cluster, found, path="l.jsonl", now=plain.clock.now(), at=HoldAt(), stay_s=0, most=0)
        try:
            list(let_go(cluster, due_now.going[:2]))
        except Killed:
            pass
    rest = due(plain, found, path="l.jsonl", now=plain.clock.now(), at=HoldAt(), stay_s=0, most=0)
    assert rest.left == ()
    assert [why for _, why in let_go(plain, rest.going) if why] == []
    assert [each.name for each in pins(plain)] == ["cart-6"]


def test_another_pin_of_the_same_name_stays(plain, call, tmp_path):
    call("ledger", "export", "--out", "l.jsonl")
    found = read((tmp_path / "l.jsonl").read_bytes())
    going = due(plain, found, path="l.jsonl", now=plain.clock.now(), at=HoldAt()).going[:1]
    ref = Ref(api_version="meshup.dev/v1", kind="MeshPin", namespace="shop", name="cart-0")
    plain.delete(ref, uid=going[0].pin.uid)
    written(plain, 0)
    assert [why for _, why in let_go(plain, going)] == ["another pin has its name now"]


def test_a_record_of_exports_that_is_damaged_is_said(plain, call):
    call("ledger", "export", "--out", "l.jsonl")
    plain.merge_patch(exports.PLACE, {"data": {"exports": "{"}})
    with pytest.raises(Refused, match="damaged") as said:
        exports.heads(plain)
    assert said.value.code == "MU2311"


@pytest.fixture
def exported(shop, plain, call):
    """An export of what was on record before somebody deleted the kind of pins, and with it every pin."""
    call("ledger", "export", "--out", "ledger.jsonl")
    shop.server.objects.delete(CRDS, "", "meshpins.meshup.dev")
    shop.server.clock.advance(30)


def test_a_list_of_no_pins_is_told_from_a_cluster_that_can_hold_none(shop, plain, call, exported):
    assert json.loads(call("pins", "-o", "json").out) == {
        "schema": "meshup.dev/pins/v1",
        "installed": False,
        "pins": [],
    }
    assert "not in this cluster" in call("pins").out
    assert "meshup ledger install" in call("pins", "-n", "shop").out


def test_what_the_deleted_kind_held_is_in_the_export_and_stays_there(shop, plain, call, exported):
    before = json.loads(call("report", "--ledger", "ledger.jsonl", "-o", "json").out)
    assert len(before["rollbacks"]) == 7
    assert "nothing was new" in call("ledger", "export", "--after", "ledger.jsonl").out
    call("ledger", "verify", "ledger.jsonl")
    after = json.loads(call("report", "--ledger", "ledger.jsonl", "-o", "json").out)
    assert [each["reason"] for each in after["rollbacks"]] == [each["reason"] for each in before["rollbacks"]]


def test_an_installation_brings_the_kind_back_and_proves_the_policies_anew(shop, plain, call, exported):
    shop.pace.speed = 1
    found = json.loads(call("ledger", "install", "--yes", "-o", "json").out)
    assert {"how": "new", "object": "CustomResourceDefinition meshpins.meshup.dev"} in found["written"]
    assert found["state"] == "in force"
    assert json.loads(call("pins", "-o", "json").out)["installed"] is True


def test_a_kind_of_a_newer_meshup_is_left_as_it_is(shop, call):
    newer = json.loads(json.dumps(definition("meshpins")))
    (served,) = newer["spec"]["versions"]
    newer["spec"]["versions"].append({**served, "name": "v2", "storage": False})
    shop.server.objects.create(CRDS, newer)
    before = shop.server.objects.get(CRDS, "", "meshpins.meshup.dev")["metadata"]["generation"]
    for more in ([], ["-o", "json"], ["--dry-run"]):
        said = call("ledger", "install", "--yes", *more, code=6)
        assert "MU2341" in said.out + said.err
        assert "a newer meshup has installed it" in said.out + said.err
    assert shop.server.objects.get(CRDS, "", "meshpins.meshup.dev")["metadata"]["generation"] == before


@pytest.mark.parametrize("how", ["edited", "edited beside an index", "cut"])
def test_no_report_is_made_of_an_export_that_does_not_hold(shop, plain, call, how):
    call("ledger", "export", "--out", "ledger.jsonl")
    file = Path("ledger.jsonl")
    whole = file.read_bytes()
    file = file if how == "edited beside an index" else Path("other.jsonl")
    file.write_bytes(
        whole[: whole[:-1].rindex(b"\n") + 1] if how == "cut" else whole.replace(b"timeouts", b"happiness", 1)
    )
    for more in ([], ["--ledger", str(file)]):
        said = call("report", "--ledger", str(file), *more, "-o", "json", code=6)
        assert "MU2318" in said.out + said.err
        assert "is missing" in said.out + said.err if how == "cut" else "it was edited" in said.out + said.err


@pytest.mark.parametrize("data", [b"", b"a letter to somebody\n", b"{}\n", b"[1, 2]", b"\xff\xfe\n"])
def test_what_is_no_export_is_refused_in_the_same_words_by_every_command(shop, plain, call, data):
    Path("letter.jsonl").write_bytes(data)
    said = set()
    commands = (
        ("ledger", "verify", "letter.jsonl"),
        ("ledger", "export", "--after", "letter.jsonl"),
        ("ledger", "prune", "letter.jsonl"),
        ("report", "--ledger", "letter.jsonl"),
        ("report", "--ledger", "letter.jsonl", "--ledger", "letter.jsonl"),
    )
    for command in commands:
        said.add(call(*command, code=6).err)
    (words,) = said
    assert "error[MU2318]" in words
    assert "line 1 is wrong" in words


def test_a_chain_that_holds_and_is_no_export_is_wrong_at_its_line(shop, plain, call):
    chain = Chain()
    lines = chain.link({"kind": "Ledger", "at": "2026-09-01T00:00:00Z"}) + chain.seal("2026-09-01T00:00:00Z")
    Path("other.jsonl").write_bytes(lines)
    for command in (("ledger", "verify", "other.jsonl"), ("report", "--ledger", "other.jsonl")):
        assert "it is no line of an export" in call(*command, code=6).err
