"""Read all pods of a cluster and keep what a plan keeps of them; print their names, as `kubectl get pods -A -o name` does."""

from __future__ import annotations

import gc
import sys

from meshup.cli.connect import Aim, door
from meshup.engine.observe import kept
from meshup.model.objects import ref_of


def main() -> None:
    """Read, keep, print."""
    gc.set_threshold(1_000_000, 50, 100)  # as the command line does
    cluster = door(Aim())
    pods = {ref_of(each): kept(each) for each in cluster.list("v1", "Pod", owners=True)}
    sys.stdout.write("".join(f"pod/{ref.name}\n" for ref in pods))


if __name__ == "__main__":
    main()
