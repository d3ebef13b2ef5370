"""The lab's command line: python -m e2e.lab COMMAND."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import building, cluster, evidence, people, store
from .errors import LabError

PLANE_HELP = "etcd, API server and controllers on loopback with free ports; needs no root and no images"


def parser() -> argparse.ArgumentParser:
    """Describe the commands."""
    top = argparse.ArgumentParser(
        prog="python -m e2e.lab",
        description="A real Kubernetes cluster with Istio's images and Prometheus, on this machine alone.",
        epilog="MESHUP_LAB_CACHE holds what is built, MESHUP_LAB_STATE the running lab.",
    )
    commands = top.add_subparsers(dest="command", required=True)

    command = commands.add_parser("build", help="build or fetch every program that is not there yet")
    command.add_argument("piece", nargs="*", metavar="PIECE", help="only these, by the names that are printed")
    command.add_argument("--control-plane-only", action="store_true", help="only what `up --control-plane-only` needs")

    commands.add_parser("images", help="put the programs into images, in a store that each cluster starts from")

    command = commands.add_parser("up", help="start a new, empty cluster and print the administrator's kubeconfig")
    command.add_argument("--control-plane-only", action="store_true", help=PLANE_HELP)
    fake = "the control plane with a scheduler and N nodes that kwok pretends: pods become ready, nothing runs"
    command.add_argument("--fake-nodes", type=int, default=0, metavar="N", help=fake)
    command.add_argument("--gateway-api", action="store_true", help="with the types of the Kubernetes Gateway API")
    served = "the API server serves MutatingAdmissionPolicy (v1beta1), behind its feature gate"
    command.add_argument("--mutating-policies", action="store_true", help=served)

    command = commands.add_parser("user", help="print the path of a kubeconfig for a person")
    command.add_argument("name")
    command.add_argument("--group", action="append", default=[], help="may be repeated")

    commands.add_parser(
        "status", help="what runs and how much memory it holds; 1 when something is dead or nothing runs"
    )

    command = commands.add_parser("collect", help="copy logs, events, objects and the audit log into a folder")
    command.add_argument("folder", type=Path)

    commands.add_parser("down", help="stop the cluster and undo what it left behind; logs stay until the next `up`")
    return top


def run(arguments: argparse.Namespace) -> int:
    """Perform one command and give its exit code."""
    match arguments.command:
        case "build":
            building.build(arguments.piece, control_plane_only=arguments.control_plane_only)
        case "images":
            store.assemble()
        case "up":
            made = cluster.up(
                control_plane_only=arguments.control_plane_only,
                fake_nodes=arguments.fake_nodes,
                gateway_api=arguments.gateway_api,
                mutating_policies=arguments.mutating_policies,
            )
            print(made)
        case "user":
            print(people.user(arguments.name, arguments.group))
        case "status":
            return 0 if cluster.status() else 1
        case "collect":
            print(evidence.collect(arguments.folder))
        case _:
            cluster.down()
    return 0


def main() -> int:
    """Run one command; an error of the lab is told in a few lines."""
    try:
        return run(parser().parse_args())
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
