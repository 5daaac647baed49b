"""`incident-resolver assess`: what the gate says of command lines. It asks no cluster and starts in a blink."""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn, TextIO

from core.commands.gate import KNOWN_PROGRAMS, judge
from core.effects import Judged
from core.errors import InvalidInputError, ResolverError
from core.policy.loading import load_policy
from core.policy.policy import DEFAULT_POLICY, Policy

_LONGEST_LINE = 8_000_000
_EPILOG = """\
With --jsonl each line of standard input is {"id": …, "command": "…"}, and each line of the output {"id", "risk",
"rule", "reason"}, in order. A line that is no such JSON is answered by one with "error", and with DENY.

Every program of the rule sheet is judged, whether it is configured here or not; --programs narrows them, as the
service does: what is not configured is DENY there.
"""


def run(arguments: Sequence[str]) -> int:
    """0 whatever the verdict; 1 where the policy file is not understood, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="incident-resolver assess")
    add_arguments(parser)
    try:
        return assess(parser.parse_args(arguments))
    except ResolverError as error:
        print(f"incident-resolver: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = "Judges command lines by the rule sheet: LOW, MEDIUM, HIGH, CRITICAL or DENY, and why."
    parser.epilog = _EPILOG
    parser.add_argument("line", nargs="?", help="one command line, as one argument")
    parser.add_argument("--jsonl", action="store_true", help="a stream of lines on standard input instead")
    parser.add_argument("--namespace", default="default", help="the namespace that a line without -n means")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="a policy file; it can only raise a verdict")
    parser.add_argument(
        "--programs", metavar="NAMES", help=f"judge only these, by commas (default: {','.join(sorted(KNOWN_PROGRAMS))})"
    )


def assess(given: argparse.Namespace) -> int:
    gate = _gate(given)
    if given.jsonl:
        answer_stream(sys.stdin.buffer, sys.stdout, gate)
        return 0
    if given.line is None:
        raise InvalidInputError("There is nothing to assess: give one line as an argument, or --jsonl.")
    judged = gate(given.line)
    print(f"{judged.verdict} {judged.rule}: {judged.reason}")
    return 0


def _gate(given: argparse.Namespace) -> Callable[[str], Judged]:
    programs = frozenset(given.programs.split(",")) if given.programs is not None else KNOWN_PROGRAMS
    if unknown := programs - KNOWN_PROGRAMS:
        raise InvalidInputError(
            f"Not known: {', '.join(sorted(unknown))}. There are {', '.join(sorted(KNOWN_PROGRAMS))}."
        )
    policy = _policy(given.policy if given.policy is not None else _configured_policy())
    return lambda line: judge(line, given.namespace, programs=programs, raises=policy.command_raises)


def _policy(file: Path | None) -> Policy:
    if file is None:
        return DEFAULT_POLICY
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"The policy file {file} cannot be read.") from error
    return load_policy(text, str(file))


def _configured_policy() -> Path | None:
    from bot.settings import load_settings  # noqa: PLC0415  pydantic costs more time than all the rest

    return load_settings().policy


def answer_stream(lines: BinaryIO, output: TextIO, gate: Callable[[str], Judged]) -> None:
    """One answer a line, flushed; blank lines have none."""
    while line := lines.readline(_LONGEST_LINE):
        if line.strip():
            whole = line if line.endswith(b"\n") or len(line) < _LONGEST_LINE else _rest_dropped(lines)
            output.write(json.dumps(_answer(whole, gate)) + "\n")
            output.flush()


def _rest_dropped(lines: BinaryIO) -> bytes:
    while (more := lines.readline(_LONGEST_LINE)) and not more.endswith(b"\n"):
        pass
    return b""


def _answer(line: bytes, gate: Callable[[str], Judged]) -> dict[str, object]:
    try:
        given = json.loads(line, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError):
        return _error(None, f"The line is no plain JSON (each key once), or longer than {_LONGEST_LINE:,} bytes.")
    if not isinstance(given, dict):
        return _error(None, 'The line is not {"id": …, "command": "…"}.')
    if not isinstance(given.get("command"), str):
        return _error(given.get("id"), 'There is no "command", or it is no text.')
    judged = gate(given["command"])
    return {"id": given.get("id"), "risk": judged.verdict, "rule": judged.rule, "reason": judged.reason}


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Of a key that stands twice, each reader takes another: what is judged must be what is run."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _error(line_id: object, sentence: str) -> dict[str, object]:
    return {"id": line_id, "risk": "DENY", "rule": "R1h", "reason": sentence, "error": sentence}


def _no_number(name: str) -> NoReturn:
    """NaN and Infinity are no JSON, and an answer that repeated them as its id would be none."""
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        _no_number(text)
    return number
