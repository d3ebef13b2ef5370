"""`meshup simulator`: a Kubernetes cluster in memory, with a mesh in it, behind a kubeconfig."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from meshup.cli import options
from meshup.cli.simulated import ask, folder, running, state
from meshup.model.problem import Refused, UsageError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Start, stop and steer a Kubernetes cluster in memory, behind a kubeconfig.\n\nExample: meshup simulator start --scenario shop",
)
START_S = 60.0


def spec_of(text: str) -> dict[str, Any]:
    """Read a fault: KIND, KIND:NAMESPACE/NAME, or KIND:NAMESPACE/NAME,key=value. Its name is the text before a comma."""
    head, *rest = text.split(",")
    kind, _, on = head.partition(":")
    found: dict[str, Any] = {"fault": kind, "name": head}
    if on:
        found["on"] = on
    for each in rest:
        key, _, value = each.partition("=")
        try:
            found[key] = float(value)
        except ValueError:
            found[key] = value
    return found


@app.command()
def start(
    scenario: Annotated[
        str, typer.Option("--scenario", help="shop, big, noisy, or the path of a scenario file")
    ] = "shop",
    seed: Annotated[int, typer.Option("--seed", help="same seed, same cluster")] = 1,
    port: Annotated[int, typer.Option("--port", help="0 = a free one")] = 0,
    kubeconfig: Annotated[str, typer.Option("--kubeconfig", help="where to write the kubeconfig; never your own")] = "",
    fault: Annotated[
        list[str], typer.Option("--fault", help="KIND:NAMESPACE/NAME that is on from the start; repeatable")
    ] = [],
    output: options.Output = "text",
) -> int:
    """Start the simulator in the background and print the kubeconfig's path.

    Example: meshup simulator start --scenario shop
    """
    import json
    import subprocess
    import time

    from meshup.cli.connect import one_of
    from meshup.cli.screen import screen
    from meshup.simulate.scenario import known
    from meshup.simulate.world.faults import FAULTS
    from meshup.views.documents import document

    one_of(output, ("text", "json"), flag="-o")
    look = screen()
    there = state()
    if there is not None:
        raise Refused(
            f"a simulator runs already: {there['scenario']}, pid {there['pid']}",
            code="MU5001",
            fix=f"export KUBECONFIG={there['kubeconfig']}, or: meshup simulator stop",
            cluster="nothing was changed",
        )
    if scenario not in known() and not Path(scenario).is_file():
        raise UsageError(
            f'there is no scenario "{scenario}"',
            code="MU5004",
            why=f"shipped are: {', '.join(known())}",
            fix="meshup simulator start --scenario shop",
            cluster="not contacted",
        )
    specs = [spec_of(each) for each in fault]
    for each in specs:
        if each["fault"] not in FAULTS:
            raise UsageError(
                f'there is no fault "{each["fault"]}"',
                code="MU5005",
                why=f"known are: {', '.join(FAULTS)}",
                fix="meshup simulator faults",
                cluster="not contacted",
            )
    home = folder()
    home.mkdir(parents=True, exist_ok=True)
    path = Path(kubeconfig) if kubeconfig else home / "kubeconfig"
    (home / "state.json").unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "meshup.cli.simulating",
        "--scenario",
        scenario,
        "--kubeconfig",
        str(path.absolute()),
        "--state",
        str(home / "state.json"),
        "--port",
        str(port),
        "--seed",
        str(seed),
    ]
    for each in specs:
        command += ["--fault", json.dumps(each)]
    with (home / "log").open("wb") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    began = time.monotonic()
    found = state()
    while found is None:
        if child.poll() is not None or time.monotonic() - began > START_S:
            text = (home / "log").read_text(errors="replace").strip().splitlines()
            raise UsageError(
                "the simulator did not start",
                code="MU5006",
                why=text[-1] if text else "it said nothing",
                fix=f"its log is {home / 'log'}",
                cluster="not contacted",
            )
        child.poll()
        _nap()
        found = state()
    if output == "json":
        look.out(
            json.dumps(
                document(
                    "simulator",
                    state="running",
                    scenario=found["scenario"],
                    kubeconfig=found["kubeconfig"],
                    server=found["server"],
                    pid=found["pid"],
                ),
                indent=2,
            )
        )
    else:
        look.out(
            f"started   {found['scenario']} at {found['server']}, pid {found['pid']}; virtual time follows yours, and runs ahead while meshup waits"
        )
        look.out(f"Next      export KUBECONFIG={found['kubeconfig']}")
    return 0


def _nap() -> None:
    """Wait a moment for the background process."""
    import select

    select.select([], [], [], 0.05)


@app.command()
def stop() -> int:
    """Stop the simulator; its cluster is gone.

    Example: meshup simulator stop
    """
    import signal

    from meshup.cli.screen import screen

    found = state()
    if found is None:
        screen().out("stopped   no simulator was running")
        return 0
    os.kill(int(found["pid"]), signal.SIGTERM)
    for _ in range(100):
        if state() is None:
            break
        _nap()
    (folder() / "state.json").unlink(missing_ok=True)
    screen().out(f"stopped   {found['scenario']}, pid {found['pid']}; its cluster is gone\nNext      unset KUBECONFIG")
    return 0


@app.command()
def status(output: options.Output = "text") -> int:
    """Show what runs, and where its kubeconfig is.

    Example: meshup simulator status
    """
    import json

    from meshup.cli.connect import one_of
    from meshup.cli.screen import screen
    from meshup.views.documents import document

    one_of(output, ("text", "json"), flag="-o")
    found = state()
    if output == "json":
        empty = {"scenario": "", "kubeconfig": "", "server": "", "pid": 0}
        row = {key: (found or empty)[key] for key in empty}
        screen().out(json.dumps(document("simulator", state="running" if found else "stopped", **row), indent=2))
        return 0
    if found is None:
        screen().out("stopped   no simulator is running\nNext      meshup simulator start --scenario shop")
        return 0
    told = ask("GET", "/simulator/clock", {})
    counts = ask("GET", "/simulator/requests", {})
    faults = ask("POST", "/simulator/faults", {}).get("faults") or {}
    screen().out(
        f"running   {found['scenario']} at {found['server']}, pid {found['pid']}; virtual time {told.get('now')}"
    )
    screen().out(f"asked     {counts['requests']} requests, {counts['mutations']} writes")
    people = [each["name"] for each in ask("GET", "/simulator/users", {})["users"]]
    screen().out(f"faults    {', '.join(faults) or 'none'}")
    screen().out(f"users     {', '.join(people) or 'none beside the administrator'}")
    screen().out(f"Next      export KUBECONFIG={found['kubeconfig']}")
    return 0


@app.command()
def user(
    name: Annotated[str, typer.Argument(help="as the API server is to name them, such as alice")],
    group: Annotated[
        list[str], typer.Option("--group", help="a group they are in; repeatable; none = as they are known already")
    ] = [],
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="namespace of their kubeconfig")] = "",
    output: options.Output = "text",
) -> int:
    """Give the kubeconfig of another user of the running simulator; roles and bindings hold for them as on any server.

    Example: meshup simulator user alice --group shop-owners
    """
    import json

    from meshup.cli.connect import one_of
    from meshup.cli.screen import screen
    from meshup.views.documents import document

    one_of(output, ("text", "json"), flag="-o")
    found = running()
    wanted = {"name": name, "groups": group or None, "namespace": namespace}
    told = ask("POST", "/simulator/users", wanted, fix="meshup simulator user alice --group shop-owners")
    path = Path(f"{found['kubeconfig']}.{told['name']}")
    path.touch(mode=0o600)
    path.write_text(json.dumps(told["kubeconfig"], indent=1) + "\n")
    if output == "json":
        row = {"user": told["name"], "groups": told["groups"], "roles": told["roles"], "kubeconfig": str(path)}
        screen().out(json.dumps(document("simulator-user", **row), indent=2))
        return 0
    screen().out(f"user      {told['name']}, groups: {', '.join(told['groups']) or 'none'}")
    screen().out(
        f"may       {', '.join(told['roles']) or 'nothing yet: no role is bound to them or to a group of theirs'}"
    )
    screen().out(f"Next      export KUBECONFIG={path}")
    return 0


@app.command()
def faults() -> int:
    """List the faults that can be let loose.

    Example: meshup simulator faults
    """
    from meshup.cli.screen import screen
    from meshup.simulate.world.faults import FAULTS
    from meshup.views.table import columns

    look = screen()
    look.out(columns(list(FAULTS.items()), header=("fault", "what it does"), width=look.width))
    look.out("Next      meshup simulator fault KIND:NAMESPACE/NAME")
    return 0


@app.command()
def fault(spec: Annotated[str, typer.Argument(help="KIND, KIND:NAMESPACE/NAME, further as ,key=value")]) -> int:
    """Let something go wrong.

    Example: meshup simulator fault server-first:shop/catalog
    """
    from meshup.cli.screen import screen

    told = ask("POST", "/simulator/faults", {"inject": spec_of(spec)})
    screen().out(f"injected  {told['injected']}\nNext      meshup simulator mend {told['injected']}")
    return 0


@app.command()
def mend(name: Annotated[str, typer.Argument(help="the fault's name, as `fault` and `status` show it")]) -> int:
    """End a fault.

    Example: meshup simulator mend server-first:shop/catalog
    """
    from meshup.cli.screen import screen

    told = ask("POST", "/simulator/faults", {"mend": name})
    if not told.get("mended"):
        raise UsageError(
            f'there is no fault "{name}" on',
            code="MU5005",
            fix="meshup simulator status lists them",
            cluster="nothing was changed",
        )
    screen().out(f"mended    {name}")
    return 0


@app.command()
def advance(time: Annotated[str, typer.Argument(help="how far, such as 5m")]) -> int:
    """Move virtual time on.

    Example: meshup simulator advance 5m
    """
    from meshup.cli.connect import seconds
    from meshup.cli.screen import screen

    told = ask("POST", "/simulator/clock", {"advance_s": seconds(time, flag="advance")})
    screen().out(f"moved     to {told.get('now')}")
    return 0
