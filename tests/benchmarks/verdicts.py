"""How fast the gate judges: 1,000 mixed lines in-process, and hostile lines of a megabyte."""

import time

from core.commands.gate import KNOWN_PROGRAMS, judge
from tests.unit.core.commands.rule_rows import rows

LINES = 1_000
MEGABYTE = 1_000_000
HOSTILE = (
    "(" * MEGABYTE,
    "kubectl get " + "a" * MEGABYTE,
    "\u202e" * MEGABYTE,
    " " * MEGABYTE,
    '"$(' * (MEGABYTE // 3),
)


def _seconds(line: str) -> float:
    started = time.perf_counter()
    judge(line, "shop", programs=KNOWN_PROGRAMS)
    return time.perf_counter() - started


def verdict_lines() -> list[str]:
    """What `make bench` prints; goals: p50 under 0.2 ms, p99 under 1 ms, a hostile line under 50 ms."""
    known = [line for line, _, _ in rows()]
    times = sorted(_seconds(known[number % len(known)]) for number in range(LINES))
    worst = max(_seconds(line) for line in HOSTILE)
    per_second = len(times) / sum(times)
    p50, p99 = times[LINES // 2] * 1000, times[LINES * 99 // 100] * 1000
    return [
        f"verdicts: {per_second:,.0f} a second; p50 {p50:.3f} ms, p99 {p99:.3f} ms over {LINES} mixed lines",
        f"a hostile line of 1 MB is refused in {worst * 1000:.3f} ms at most",
    ]


if __name__ == "__main__":
    print("\n".join(verdict_lines()))
