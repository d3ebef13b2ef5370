"""Files that can't be read or written, as errors for the person who named them."""

from __future__ import annotations

from meshup.model.problem import UsageError


def unusable(what: str, failed: Exception, *, fix: str) -> UsageError:
    """Make the error (MU1005) of a file; why is what the system says, without its number."""
    why = str(getattr(failed, "strerror", "") or failed)
    return UsageError(what, code="MU1005", why=why, fix=fix, cluster="not contacted")
