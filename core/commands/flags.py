"""How programs made with cobra and pflag read their words: verb, flags with their values, and what is left."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.commands.grammar import Refused

_BOOLS = frozenset({"true", "false", "1", "0", "t", "f", "T", "F", "TRUE", "FALSE", "True", "False"})
_OFF = frozenset({"false", "0", "f", "F", "FALSE", "False"})
Known = dict[str, tuple[str, str]]
"""Flag name to shorthand and "bool", "value" or "optional"."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command taken apart. `flags` holds every value given, in order, by the flag's long name.

    A bare bool flag has the value "true", and so has a bare optional one (`--dry-run`). `words` are those that belong
    to no flag; `dash` of them stand before `--`, None where there is no `--`.
    """

    program: str
    verb: str
    words: tuple[str, ...]
    flags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dash: int | None = None

    def last(self, name: str) -> str | None:
        """The value that counts: the last one given, None where the flag was not given."""
        given = self.flags.get(name)
        return given[-1] if given else None

    def is_on(self, name: str) -> bool:
        return self.last(name) not in _OFF | {None}

    def any_on(self, *names: str) -> bool:
        return any(self.is_on(name) for name in names)


class FlagTable:
    """The real flags of one program's verbs, of one version (core/commands/*_flags.json)."""

    def __init__(self, data: dict[str, Any], *, reads_underscores: bool) -> None:
        self.version: str = data["version"]
        self.everywhere: Known = {name: (one[0], one[1]) for name, one in data["global"].items()}
        self.verbs: dict[str, Known] = {
            verb: {name: (one[0], one[1]) for name, one in flags.items()} for verb, flags in data["verbs"].items()
        }
        self.aliases: dict[str, str] = data["aliases"]
        self.groups = frozenset(verb.rpartition(" ")[0] for verb in self.verbs if " " in verb)
        self.reads_underscores = reads_underscores
        self._letters: dict[str, dict[str, str]] = {}

    def of(self, verb: str, name: str) -> str | None:
        """What the flag takes, None where the verb does not know it. A verb's own flag hides a global one."""
        if name == "help":
            return "bool"
        found = self.verbs.get(verb, {}).get(name) or self.everywhere.get(name)
        return found[1] if found else None

    def by_letter(self, verb: str, letter: str) -> str | None:
        known = self._letters.get(verb)
        if known is None:
            both = {**self.everywhere, **self.verbs.get(verb, {})}
            known = {"h": "help"} | {short: name for name, (short, _) in both.items() if short}
            self._letters[verb] = known
        return known.get(letter)


_DRY = frozenset({"client", "server"}) | (_BOOLS - _OFF)
_NOT_DRY = frozenset({"none"}) | _OFF


def is_dry_run(invocation: Invocation, table: FlagTable) -> bool:
    """R9: the last value counts; bare and "true" mean client; a verb that does not know the flag is not dry.

    The empty value is refused: helm takes it for no dry run at all.
    """
    given = invocation.last("dry-run")
    if given is None or given in _NOT_DRY:
        return False
    if given not in _DRY:
        raise Refused("R9", f"--dry-run={given!r} is not known; there are client, server and none.")
    return "dry-run" in table.verbs.get(invocation.verb, {})


def load_table(file: Path, *, reads_underscores: bool) -> FlagTable:
    return FlagTable(json.loads(file.read_text(encoding="utf-8")), reads_underscores=reads_underscores)


Check = Callable[[str, str], None]
"""Refuses a flag of a verb: (verb, long name)."""


class _Reader:
    def __init__(self, program: str, table: FlagTable, arguments: tuple[str, ...], check: Check) -> None:
        self.program = program
        self.table = table
        self.words = list(reversed(arguments))
        self.check = check
        self.verb = ""
        self.early: list[str] = []
        self.flags: dict[str, list[str]] = {}

    def peek(self) -> str:
        return self.words[-1] if self.words else ""

    def verb_of(self) -> None:
        """The verb, with subcommands; only joined or value-taking global flags may stand before or between.

        A joined flag of the verb's own (`--dry-run=client delete …`) is the verb's, whatever stands behind the verb.
        """
        while True:
            while self.peek().startswith("-") and (not self.verb or self._is_early(self.peek())):
                self._leading()
            word = self.peek()
            path = f"{self.verb} {word}" if self.verb else word
            path = self.table.aliases.get(path, path)
            if not word or " " in word or path not in self.table.verbs:
                return
            self.words.pop()
            self.verb = path
            if path not in self.table.groups:
                return

    def _is_early(self, word: str) -> bool:
        return self._is_everywhere(word) or (word.startswith("--") and "=" in word)

    def _is_everywhere(self, word: str) -> bool:
        if word.startswith("--"):
            return self._long_name(word[2:].partition("=")[0]) in self.table.everywhere
        return len(word) > 1 and self.table.by_letter("", word[1]) in self.table.everywhere

    def _leading(self) -> None:
        word = self.peek()
        if not self._is_everywhere(word) and not word.startswith(("--help", "-h")):
            if self._is_early(word):
                self.early.append(self.words.pop())
                return
            raise Refused(
                "R1b",
                f"Put flags after the verb; only global and joined ones (-n, --x=y) may stand before it: {word!r}.",
            )
        name = self._long_name(word[2:].partition("=")[0]) if word.startswith("--") else ""
        is_bare_bool = name and "=" not in word and self.table.of(self.verb, name) != "value"
        if is_bare_bool and name != "help":
            self.check(self.verb, name)
            raise Refused("R1b", f"Put --{name} after the verb.")
        self.flag(self.words.pop())

    def _long_name(self, name: str) -> str:
        return name.replace("_", "-") if self.table.reads_underscores else name

    def flag(self, word: str) -> None:
        if word.startswith("--"):
            self._long(word[2:])
        else:
            self._short(word[1:])

    def _long(self, word: str) -> None:
        name, has_value, value = word.partition("=")
        name = self._long_name(name)
        kind = self._kind(name)
        if not has_value:
            value = self._value(f"--{name}") if kind == "value" else "true"
        self._add(name, value, kind)

    def _short(self, letters: str) -> None:
        """A bundle: bools may follow each other; a flag with a value takes the rest, or the next word."""
        while letters:
            letter, letters = letters[0], letters[1:]
            name = self.table.by_letter(self.verb, letter)
            if name is None:
                raise Refused("R12", f"{self.program} {self.verb} has no flag -{letter}.")
            kind = self._kind(name)
            if kind == "bool" and not letters.startswith("="):
                self._add(name, "true", kind)
                continue
            if letters == "=":
                raise Refused("R1h", f"-{letter}= stands without a value.")
            value = letters.removeprefix("=")
            self._add(name, value if letters or kind == "bool" else self._value(f"-{letter}"), kind)
            return

    def _kind(self, name: str) -> str:
        self.check(self.verb, name)
        kind = self.table.of(self.verb, name)
        if kind is not None:
            return kind
        if name == "dry-run":
            return "optional"
        raise Refused("R12", f"{self.program} {self.verb} has no flag --{name}.")

    def _value(self, flag: str) -> str:
        if not self.words:
            raise Refused("R1h", f"{flag} needs a value.")
        return self.words.pop()

    def _add(self, name: str, value: str, kind: str) -> None:
        if kind == "bool" and value not in _BOOLS:
            raise Refused("R1h", f"--{name} takes true or false, not {value!r}.")
        self.flags.setdefault(name, []).append(value)


def parse_invocation(program: str, arguments: tuple[str, ...], table: FlagTable, check: Check) -> Invocation:
    """`arguments` are those after the program. Refused for an unknown verb or flag, and whatever `check` refuses.

    One flag is let through where the verb does not know it: --dry-run. It is no dry run then (R9), and the program
    itself refuses the line.
    """
    reader = _Reader(program, table, arguments, check)
    reader.verb_of()
    for word in reader.early:
        reader.flag(word)
    rest: list[str] = []
    dash: int | None = None
    while reader.words:
        word = reader.words.pop()
        if word == "--":
            dash = len(rest)
            rest += reversed(reader.words)
            break
        if word.startswith("-") and len(word) > 1:
            reader.flag(word)
        else:
            rest.append(word)
    flags = {name: tuple(values) for name, values in reader.flags.items()}
    return Invocation(program, reader.verb, tuple(rest), flags, dash)
