"""kubectl's own grammar: which verb, which flags with which values, which words are left; by its real flag tables."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.commands.grammar import Refused

_TABLE: dict[str, Any] = json.loads((Path(__file__).parent / "kubectl_flags.json").read_text(encoding="utf-8"))
_GLOBAL: dict[str, list[str]] = _TABLE["global"]
_VERBS: dict[str, dict[str, list[str]]] = _TABLE["verbs"]
_ALIASES = {
    "top pods": "top pod",
    "top po": "top pod",
    "top nodes": "top node",
    "top no": "top node",
}
_TWO_WORDS = frozenset({"top", "auth", "rollout", "set"})
IDENTITY = frozenset(
    {
        *("kubeconfig", "context", "cluster", "user", "server", "token", "username", "password"),
        *("as", "as-group", "as-uid", "as-user-extra", "client-certificate", "client-key", "certificate-authority"),
        *("insecure-skip-tls-verify", "insecure-skip-tls-verify-backend", "tls-server-name", "proxy-url"),
        *("kuberc", "cache-dir", "profile", "profile-output"),
    }
)
"""Flags that choose who asks, where, or which file is read or written (R2)."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A kubectl command taken apart. `flags` holds every value given, in order, by the flag's long name.

    A bare bool flag has the value "true"; a bare optional one (`--dry-run`) has "".
    """

    verb: str
    words: tuple[str, ...]
    flags: dict[str, tuple[str, ...]]

    def last(self, name: str) -> str | None:
        """The value that counts: the last one given, None where the flag was not given."""
        given = self.flags.get(name)
        return given[-1] if given else None

    def is_on(self, name: str) -> bool:
        return self.last(name) not in {None, "false", "0", "f", "F", "FALSE", "False"}


def parse_kubectl(arguments: tuple[str, ...]) -> Invocation:
    """`arguments` are those after the program. Refused for an unknown verb or flag, and for identity flags."""
    words = list(arguments)
    leading = _leading_namespace(words)
    verb = _verb(words)
    flags: dict[str, list[str]] = {"namespace": leading} if leading else {}
    rest: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--":
            rest += words
            break
        if word.startswith("--"):
            _long(verb, word[2:], words, flags)
        elif word.startswith("-") and len(word) > 1:
            _short(verb, word[1:], words, flags)
        else:
            rest.append(word)
    return Invocation(verb, tuple(rest), {name: tuple(values) for name, values in flags.items()})


def _leading_namespace(words: list[str]) -> list[str]:
    """`kubectl -n shop get pods`: the only flag that may stand in front of the verb."""
    if not words:
        raise Refused("R12", "kubectl needs a verb.")
    first = words[0]
    if first in {"-n", "--namespace"} and len(words) > 1:
        del words[0]
        return [words.pop(0)]
    if first.startswith("--namespace="):
        return [words.pop(0).removeprefix("--namespace=")]
    if first.startswith("-n") and not first.startswith("--"):
        return [words.pop(0)[2:].removeprefix("=")]
    if first.startswith("-"):
        _refuse_identity(first.lstrip("-").split("=")[0].replace("_", "-"))
        raise Refused("R1b", "Put flags after the verb; only -n may stand in front of it.")
    return []


def _verb(words: list[str]) -> str:
    verb = words.pop(0) if words else ""
    if verb in _TWO_WORDS:
        if not words or words[0].startswith("-"):
            raise Refused("R12", f"kubectl {verb} needs a second word, such as in 'kubectl rollout status'.")
        verb = f"{verb} {words.pop(0)}"
    verb = _ALIASES.get(verb, verb)
    if verb not in _VERBS:
        known = ", ".join(sorted(_VERBS))
        raise Refused("R12", f"kubectl {verb!r} is not in the present command set; there is: {known}.")
    return verb


def _kind_of_flag(verb: str, name: str) -> str:
    _refuse_identity(name)
    found = _VERBS[verb].get(name) or _GLOBAL.get(name)
    if found is None:
        raise Refused("R12", f"kubectl {verb} has no flag --{name}.")
    return found[1]


def _refuse_identity(name: str) -> None:
    if name in IDENTITY:
        raise Refused("R2", f"--{name} chooses an identity, a target or a file; that is not yours to choose.")


def _long(verb: str, word: str, words: list[str], flags: dict[str, list[str]]) -> None:
    name, has_value, value = word.partition("=")
    name = name.replace("_", "-")
    kind = _kind_of_flag(verb, name)
    if not has_value:
        if kind == "value":
            if not words:
                raise Refused("R1h", f"--{name} needs a value.")
            value = words.pop(0)
        else:
            value = "true" if kind == "bool" else ""
    _add(flags, name, value, kind)


def _short(verb: str, letters: str, words: list[str], flags: dict[str, list[str]]) -> None:
    """A bundle: bools may follow each other; a flag with a value takes the rest, or the next word."""
    while letters:
        letter, letters = letters[0], letters[1:]
        name, kind = _by_letter(verb, letter)
        _refuse_identity(name)
        if kind == "bool":
            if letters.startswith("="):
                _add(flags, name, letters[1:], kind)
                return
            _add(flags, name, "true", kind)
            continue
        value = letters.removeprefix("=")
        if not letters:
            if not words:
                raise Refused("R1h", f"-{letter} needs a value.")
            value = words.pop(0)
        _add(flags, name, value, kind)
        return


def _by_letter(verb: str, letter: str) -> tuple[str, str]:
    for table in (_VERBS[verb], _GLOBAL):
        for name, (short, kind) in table.items():
            if short == letter:
                return name, kind
    raise Refused("R12", f"kubectl {verb} has no flag -{letter}.")


_BOOLS = frozenset({"true", "false", "1", "0", "t", "f", "T", "F", "TRUE", "FALSE", "True", "False"})


def _add(flags: dict[str, list[str]], name: str, value: str, kind: str) -> None:
    if kind == "bool" and value not in _BOOLS:
        raise Refused("R1h", f"--{name} takes true or false, not {value!r}.")
    flags.setdefault(name, []).append(value)
