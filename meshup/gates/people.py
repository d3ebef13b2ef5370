"""soak and approval: time that must pass, and a person who must agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from meshup.gates.gate import Eyes, Terms
from meshup.gates.judging import careful
from meshup.model.duration import Duration, span
from meshup.model.verdict import Answer, Patience, Reading, Verdict


class Soak:
    """Lets a wave run for a while; the other gates after it judge what it was like."""

    kind: ClassVar[str] = "soak"
    title: ClassVar[str] = "the wave has run for as long as it should"
    reads: ClassVar[str] = "the clock, from the recorded start"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {"for": (Duration, Duration(300.0), "how long")}
    needs: ClassVar[frozenset[str]] = frozenset()
    patience: ClassVar[Patience] = Patience(limit_s=14 * 86400.0, every_s=15, in_a_row=1)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Give the wall time; its recorded start is the first reading."""
        del terms
        return {"now": eyes.clock.now().isoformat()}

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Compare the newest reading's time with the first one's."""
        wanted = float(terms.params.get("for") or 300.0)
        try:
            times = [datetime.fromisoformat(str(each.data["now"])) for each in readings if not each.blind]
        except (KeyError, ValueError):
            return Verdict(answer=Answer.UNKNOWN, because="its start was not recorded")
        if not times:
            return Verdict(answer=Answer.UNKNOWN, because="its start was not recorded")
        passed = (times[-1] - times[0]).total_seconds()
        if passed < 0:
            return Verdict(answer=Answer.UNKNOWN, because="the clock went back since the soak began")
        if passed + 1e-6 < wanted:
            return Verdict(answer=Answer.UNKNOWN, because=f"{span(passed)} of {span(wanted)}")
        return Verdict(answer=Answer.PASS, because=f"ran for {span(passed)}")


class Approval:
    """A person other than the one who applies lets the stage begin; the record names the plan and ends."""

    kind: ClassVar[str] = "approval"
    title: ClassVar[str] = "a second person approved this plan"
    reads: ClassVar[str] = "approval records in meshup-system"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "from": (list, [], "who may approve; empty = anybody but the applier")
    }
    needs: ClassVar[frozenset[str]] = frozenset()
    patience: ClassVar[Patience] = Patience(limit_s=7 * 86400.0, every_s=15, in_a_row=1)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Give the approvals for this plan, and the time."""
        del terms
        return {
            "now": eyes.clock.now().isoformat(),
            "place": eyes.place,
            "plan": eyes.plan_digest,
            "approvals": [
                {"place": each.place, "user": each.user, "plan": each.plan, "until": each.until}
                for each in eyes.approvals
            ],
        }

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Look for one that names this place, or its stage, and this plan, and has not ended."""
        data = readings[-1].data if readings else {}
        place, plan = data.get("place"), data.get("plan")
        allowed = tuple(terms.params.get("from") or ())
        ended = ""
        for each in data.get("approvals") or ():
            if each.get("plan") != plan or not plan or each.get("place") not in (place, str(place).partition("/")[0]):
                continue
            if allowed and each.get("user") not in allowed:
                ended = f"{each.get('user')} may not approve this; {', '.join(allowed)} may"
                continue
            try:
                over = bool(each.get("until")) and datetime.fromisoformat(str(data["now"])) > datetime.fromisoformat(
                    str(each["until"])
                )
            except (KeyError, ValueError):
                return Verdict(answer=Answer.UNKNOWN, because="an approval's end can't be read")
            if over:
                ended = f"the approval of {each.get('user')} ended {each['until']}"
                continue
            return Verdict(answer=Answer.PASS, because=f"approved by {each.get('user')}")
        who = f"; {' or '.join(allowed)} may" if allowed else ""
        return Verdict(answer=Answer.UNKNOWN, because=ended or f"nobody has approved {place} yet{who}")
