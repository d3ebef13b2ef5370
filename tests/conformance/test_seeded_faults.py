"""Cases and tests notice when the simulator is wrong: rules are broken one by one in a copy of the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
API = Path("meshup/simulate/api")
FAULTS = [
    ("writes.py", 'if sent and str(sent) != old["metadata"]["resourceVersion"]:', "if False:"),
    ("writes.py", 'if meta.get("uid") and meta["uid"] != old["metadata"]["uid"]:', "if False:"),
    ("deletion.py", "if wanted.get(key) and wanted[key] != meta[key]:", "if False:"),
    ("ownership.py", "if fights and not force:", "if False:"),
    ("ownership.py", "    result = ssa.without(result, node, gone)\n", "    pass\n"),
    ("watching.py", "if self._bookmarks and now >= next_mark:", "if False:"),
    ("watching.py", "elif number < store.oldest:", "elif False:"),
    ("watching.py", "elif was_in and change.old is not None:", "elif False:"),
    (
        "writes.py",
        "return obj if how.dry_run else self.store.put(kind.key, obj)",
        "return self.store.put(kind.key, obj)",
    ),
    ("writes.py", "        if how.dry_run:\n            return new\n        stored", "        stored"),
    (
        "writes.py",
        "            if not how.dry_run:\n                self.store.remove(kind.key, namespace, name)",
        "            self.store.remove(kind.key, namespace, name)",
    ),
    ("strategy.py", "    if status_apart(kind) and not controller:", "    if False:"),
    ("writes.py", 'new["metadata"]["generation"] = int(before.get("generation") or 0) + 1', "pass"),
    ("writes.py", "        unchanged = same(old, new)", "        unchanged = False"),
    ("admission.py", '        if found["metadata"].get("deletionTimestamp"):', "        if False:"),
    ("rbac.py", '    if asked.verb not in verbs and "*" not in verbs:\n        return False\n', ""),
    ("rbac.py", "    return not names or asked.name in names", "    return True"),
    ("admission.py", "        if not missing:", "        if True:"),
    ("quota.py", "        if over:", "        if False:"),
    ("podsecurity.py", '    if level not in ("baseline", "restricted"):', "    if True:"),
    ("webhooks.py", '        if hook.get("failurePolicy") == "Ignore":', "        if True:"),
    ("webhooks.py", 'if not matches(hook.get("objectSelector") or {}, labels):', "if False:"),
    ("webhooks.py", 'return matches(hook.get("namespaceSelector") or {}, namespace_labels)', "return True"),
    ("housekeeping.py", "        if uid in self._uids:\n            return\n", ""),
    ("housekeeping.py", "        if waiting:\n            return\n", ""),
    ("listing.py", "if found is not None and self._elapsed() - found[0] <= LIFE_S:", "if found is not None:"),
    (
        "selectors.py",
        "return lambda found: found.get(key) != value",
        "return lambda found: key in found and found[key] != value",
    ),
    ("shaping.py", '    if how.validation == "Warn":', "    if True:"),
    ("validate.py", 'if struct and key not in node["properties"]:', "if False:"),
    ("validate.py", '    if "enum" in node and value not in node["enum"]:', "    if False:"),
    ("patch.py", 'if _find(result, path, each["path"], "test") != each.get("value"):', "if False:"),
    (
        "patch.py",
        "        elif value is None:\n            result.pop(key, None)",
        "        elif value is None:\n            pass",
    ),
    ("subresources.py", "        if allowed < 1:", "        if False:"),
    ("subresources.py", "    if held:\n", "    if False:\n"),
    ("store.py", "        if self._telling:\n            return\n", ""),
    ("ownership.py", "if kept == paths:", "if True:"),
    ("server.py", "if not rbac.allowed(self.store, caller,", "if False and not rbac.allowed(self.store, caller,"),
    ("server.py", "        if rbac.allowed(self.store, call.user, asked):\n            return", "        return"),
    ("policies.py", 'if "Deny" in actions:', "if False:"),
    (
        "policies.py",
        "                if strict:\n                    yield",
        "                if False:\n                    yield",
    ),
    ("policies.py", 'if wanted and sort not in (wanted, ""):', "if False:"),
    ("presence.py", "return f\"(!(type({of}) in {PLAIN}) && has({of}.{chosen['field']}))\"", 'return f"has({inner})"'),
    ("evaluating.py", "            self._failed[name] = str(failed)\n", "            raise\n"),
    ("evaluating.py", "        if _is_cut(found):", "        if False:"),
    ("expressions.py", "if MIXED.search(fault) or", "if"),
    ("forms.py", "if found is None:", "if False:"),
    ("listing.py", "if change.old is None:", "if False:"),
    ("deletion.py", '        held += {"Foreground"', '        held += {"X"'),
    (
        "writes.py",
        '            self.store.remove(kind.key, meta.get("namespace", ""), meta["name"])\n        return stored',
        "            pass\n        return stored",
    ),
]
CASES = ("tests/cases/conformance", "tests/cases/prometheus")
LEAST = 0.9


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    place = tmp_path_factory.mktemp("broken")
    for name in ("meshup", "templates", "tests/conformance", "tests/simulator", *CASES):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", place)
    (place / "tests/conformance/test_seeded_faults.py").unlink()
    (place / "tests/simulator/test_place.py").write_text(
        "import meshup.simulate.api.store as store\n\n\n"
        f"def test_the_copy_is_tested():\n    assert store.__file__.startswith({str(place)!r})\n"
    )
    return place


def noticed(place: Path) -> bool:
    """Whether tests fail, or do not come to an end."""
    command = [
        sys.executable,
        "-B",
        "-m",
        "pytest",
        "tests/conformance",
        "tests/simulator",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
    ]
    environment = {**os.environ, "PYTHONPATH": str(place)}
    try:
        ended = subprocess.run(command, cwd=place, env=environment, capture_output=True, timeout=60, check=False)
        return ended.returncode != 0
    except subprocess.TimeoutExpired:
        return True


@pytest.mark.sweep
def test_seeded_faults_are_noticed(copy):
    assert not noticed(copy), "the unbroken copy must pass"
    missed = []
    for name, before, after in FAULTS:
        file = copy / API / name
        text = file.read_text()
        assert before in text, f"{name} no longer says {before!r}"
        file.write_text(text.replace(before, after, 1))
        if not noticed(copy):
            missed.append(f"{name}: {before}")
        file.write_text(text)
    print(f"seeded faults noticed: {len(FAULTS) - len(missed)} of {len(FAULTS)}")
    assert len(missed) <= (1 - LEAST) * len(FAULTS), "\n".join(missed)
