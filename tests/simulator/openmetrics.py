"""Series from an OpenMetrics text, as a source that the embedded Prometheus can be asked about."""

from __future__ import annotations

import re

from meshup.simulate.prometheus.series import NAME, Series, chosen

LINE = re.compile(r"(?P<name>[\w:]+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+) (?P<at>\d+)")


class Loaded:
    """Series read from the OpenMetrics text that the real server's blocks were made from."""

    def __init__(self, text):
        self.rows = {}
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            found = LINE.fullmatch(line)
            labels = dict(re.findall(r'(\w+)="([^"]*)"', found["labels"] or ""))
            key = ((NAME, found["name"]), *sorted(labels.items()))
            self.rows.setdefault(key, []).append((float(found["at"]), float(found["value"])))

    def select(self, matchers, start, end):
        result = []
        for key, samples in self.rows.items():
            if chosen(dict(key), matchers) and any(start < at <= end for at, _ in samples):
                result.append(
                    Series(dict(key), lambda low, high, rows=samples: [each for each in rows if low < each[0] <= high])
                )
        return result
