"""The text filters a read may be piped into: no file operands, no flag that names a file or a program."""

import re
from dataclasses import dataclass

from core.commands.grammar import Refused


@dataclass(frozen=True, slots=True)
class Filter:
    """`switches` take no value; `valued` take one, joined or as the next word; `operands` is (least, most)."""

    switches: frozenset[str]
    valued: frozenset[str] = frozenset()
    operands: tuple[int, int] = (0, 0)


def _filter(switches: str, valued: str = "", operands: tuple[int, int] = (0, 0)) -> Filter:
    return Filter(frozenset(switches.split()), frozenset(valued.split()), operands)


FILTERS = {
    "grep": _filter("-i -v -n -c -o -E -F -w -x -h --ignore-case --invert-match --count", "-A -B -C -m", (1, 1)),
    "head": _filter("-q", "-n -c"),
    "tail": _filter("-q", "-n -c"),
    "wc": _filter("-l -w -c -m -L"),
    "sort": _filter("-r -n -u -h -V -f -b -g", "-k -t"),
    "uniq": _filter("-c -d -u -i"),
    "cut": _filter("-s --complement", "-d -f -c -b"),
    "tr": _filter("-d -s -c", "", (1, 2)),
    "jq": _filter("-r -c -e -s -M -S", "", (1, 1)),
    "column": _filter("-t", "-s"),
    "nl": _filter("-b"),
    "cat": _filter("-n"),
    "tac": _filter(""),
}
_COUNT = re.compile(r"-\d{1,6}")
_JQ_REACHES_OUT = re.compile(
    r"\b(import|include|modulemeta|input_filename|env|get_search_list|debug|input_line_number)\b|\$\s*(ENV|__)"
)


def check_filter(stage: tuple[str, ...]) -> None:
    """Refused unless the stage is a known filter with known flags and no file operand."""
    name, words = stage[0], list(stage[1:])
    known = FILTERS.get(name)
    if known is None:
        raise Refused("R1a", f"A read may be piped into {', '.join(sorted(FILTERS))}, not into {name!r}.")
    operands: list[str] = []
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            operands.append(word)
        elif not _is_known(name, known, word, words):
            raise Refused("R1a", f"{name} takes no flag {word!r} here.")
    least, most = known.operands
    if not least <= len(operands) <= most or "-" in operands:
        raise Refused("R1a", f"{name} reads the pipe only; it takes no file here.")
    if name == "jq" and any(_JQ_REACHES_OUT.search(one) for one in operands):
        raise Refused("R1a", "This jq filter reaches for files or the environment.")


def _is_known(name: str, known: Filter, word: str, rest: list[str]) -> bool:
    if name in {"head", "tail", "grep"} and _COUNT.fullmatch(word):
        return True
    if word in known.switches:
        return True
    if word in known.valued:
        return bool(rest) and (rest.pop(0) or True) is not None
    if word[:2] in known.valued and not word.startswith("--"):
        return True
    return not word.startswith("--") and len(word) > 1 and all(f"-{letter}" in known.switches for letter in word[1:])
