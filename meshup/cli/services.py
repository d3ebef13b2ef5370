"""A service named on the command line, found in a runbook."""

from __future__ import annotations

import difflib

from meshup.model.problem import UsageError
from meshup.model.runbook import Runbook


def service_id(book: Runbook, name: str, namespace: str = "") -> str:
    """Give a service's id by "namespace/name", by -n and name, or by a name that only one service has.

    Raises UsageError (MU1011) naming those that are meant or near.
    """
    known = [each.id for each in book.services]
    wanted = name if "/" in name else f"{namespace}/{name}" if namespace else ""
    if wanted in known:
        return wanted
    fitting = [each.id for each in book.services if each.name == name]
    if len(fitting) == 1 and not namespace:
        return fitting[0]
    if fitting:
        raise UsageError(
            f'"{name}" is the name of several services: {", ".join(fitting)}',
            code="MU1011",
            fix=f"name it as {fitting[0]}, or give -n NAMESPACE",
            cluster="not contacted",
        )
    near = difflib.get_close_matches(name.rpartition("/")[2], [each.name for each in book.services], n=1)
    raise UsageError(
        f'the runbook has no service "{wanted or name}"',
        code="MU1011",
        why=f'did you mean "{near[0]}"?' if near else f"it has {len(known)} services",
        fix="correct the name; meshup status lists all",
        cluster="not contacted",
    )
