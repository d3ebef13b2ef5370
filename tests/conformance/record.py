"""Record the answers of a real API server into the case files: python record.py KUBECONFIG [CASE...]."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))
from meshup.cluster.https import HttpsTransport
from meshup.cluster.kubeconfig import Choice, access
from meshup.model.transport import Request
from tests.conformance.playing import CASES, cases, load, play


class Dumper(yaml.SafeDumper):
    """Writes short mappings on one line and never an alias."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def main() -> None:
    transport = HttpsTransport(access(Choice(kubeconfig=sys.argv[1])))
    version = json.loads(transport.send(Request(method="GET", path="/version")).body)["gitVersion"]
    chosen = [CASES / f"{name}.yaml" for name in sys.argv[2:]] or cases()
    stamp = f"{int(time.time()) % 1_000_000:x}"

    def one(numbered: tuple[int, Path]) -> None:
        number, path = numbered
        case = load(path)
        try:
            answers = play(case, transport, f"conf-{stamp}{number:03d}")
        except Exception as error:
            print(f"{path.stem}: {type(error).__name__}: {error}")
            return
        case["recorded"] = version
        for step, answer in zip(case["steps"], answers, strict=True):
            step["answer"] = answer
        text = yaml.dump(case, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True, default_flow_style=None)
        path.write_text(text)

    with ThreadPoolExecutor(4) as several:
        list(several.map(one, enumerate(chosen)))
    print(f"{len(chosen)} cases recorded on {version}")


if __name__ == "__main__":
    main()
