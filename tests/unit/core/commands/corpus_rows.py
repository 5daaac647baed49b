"""A corpus written from the rule sheet alone: the verdicts that it allows, and lines in every spelling of them.

A row of corpus.txt is the allowed verdicts by their first letters (L M H C D) and a line, in which `<<a|b>>` stands for
several lines and `\\|` for a pipe inside them.
"""

import itertools
import re
from pathlib import Path

FILE = Path(__file__).with_name("corpus.txt")


def corpus() -> list[tuple[str, str]]:
    """(line, allowed first letters)."""
    rows = [row for row in FILE.read_text(encoding="utf-8").splitlines() if not row.startswith("# ")]
    return [
        (line, allowed) for allowed, _, template in (row.partition(" ") for row in rows) for line in _spelled(template)
    ]


def _spelled(template: str) -> list[str]:
    parts = re.split(r"<<(?!<)(.*?)(?<!>)>>", template)
    choices = [re.split(r"(?<!\\)\|", part) if place % 2 else [part] for place, part in enumerate(parts)]
    return ["".join(one).replace("\\|", "|") for one in itertools.product(*choices)]
