"""Put the demo application on the lab that is up, with the mesh's older release beside it, to try meshup by hand.

python e2e/rollout/found.py      prints what to type next
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from town import HERE, HOST, NEW, Town, get

from e2e import lab
from e2e.lab.errors import LabError
from e2e.lab.kubectl import apply_gateway_api


def main() -> int:
    """Found the town; callers inside it begin at once and never stop."""
    try:
        apply_gateway_api(lab.Home())
        with tempfile.TemporaryDirectory() as folder:
            Town(Path(folder)).build()
    except (LabError, AssertionError, subprocess.CalledProcessError) as error:
        print(f"not founded: {error}      is the lab up?  python -m e2e.lab up", file=sys.stderr)
        return 1
    workloads = [each for each in get("deployments,statefulsets,cronjobs") if "meshup.dev/owner" in _notes(each)]
    address = get("service", "nginx-ingress", "edge")["spec"]["clusterIP"]
    print(f"{len(workloads)} workloads of other teams run. In another terminal, for users from outside:")
    print(f"while sleep 0.1; do curl -so /dev/null -H 'Host: {HOST}' http://{address}/debug; done")
    print("Next:")
    folders = (Path(sys.executable).parent, lab.istioctl(NEW).parent, lab.kube("kubectl").parent)
    print(f"export PATH={':'.join(map(str, folders))}:$PATH")
    print(f"export KUBECONFIG={lab.Home().kubeconfig}")
    print(f"meshup init --values {HERE / 'values.yaml'}")
    return 0


def _notes(found: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    return found["metadata"].get("annotations") or {}


if __name__ == "__main__":
    sys.exit(main())
