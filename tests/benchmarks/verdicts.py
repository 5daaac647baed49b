"""How fast the gate judges: 1,000 mixed lines in-process, and hostile lines of a megabyte."""

import time

from core.commands.gate import KNOWN_PROGRAMS, judge
from core.commands.grammar import MAX_LENGTH
from tests.unit.core.commands.corpus_rows import corpus
from tests.unit.core.commands.rule_rows import rows

LINES = 1_000
MEGABYTE = 1_000_000
LONGEST = MAX_LENGTH - 20
HOSTILE = (
    "(" * MEGABYTE,
    "kubectl get " + "a" * MEGABYTE,
    "\u202e" * MEGABYTE,
    " " * MEGABYTE,
    '"$(' * (MEGABYTE // 3),
    *(
        f"kubectl get pods {(part * LONGEST)[:LONGEST]}"
        for part in ('"', "a[", "''a", "[[", "1 ", "{a}", "2>&1 ", "| cat ")
    ),
)
"""Of a megabyte, and as long as a line may be that is parsed at all."""


def _seconds(line: str) -> float:
    started = time.perf_counter()
    judge(line, "shop", programs=KNOWN_PROGRAMS)
    return time.perf_counter() - started


def verdict_lines() -> list[str]:
    """What `make bench` prints; goals: p50 under 0.2 ms, p99 under 1 ms, a hostile line under 50 ms."""
    known = [*(line for line, _, _ in rows()), *(line for line, _ in corpus())]
    step = len(known) / LINES
    mixed = [known[int(number * step)] for number in range(LINES)]
    times = sorted(_seconds(line) for line in mixed)
    worst = max(_seconds(line) for line in HOSTILE)
    per_second = len(times) / sum(times)
    p50, p99 = times[LINES // 2] * 1000, times[LINES * 99 // 100] * 1000
    return [
        f"verdicts: {per_second:,.0f} a second; p50 {p50:.3f} ms, p99 {p99:.3f} ms over {LINES} mixed lines",
        f"a hostile line, of 1 MB too, is refused in {worst * 1000:.3f} ms at most",
    ]


if __name__ == "__main__":
    print("\n".join(verdict_lines()))
