"""Flags that name files: which they are, and what may be read through them."""

import re
from collections.abc import Callable, Iterator

from core.commands.flags import Invocation
from core.commands.grammar import Refused

Files = Callable[[str], bytes | None]
"""The content of a file of the workspace by its relative name; None where it cannot be read whole."""

_RELATIVE = re.compile(r"(\./)?[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*/?")
_MANIFESTS = frozenset({"filename", "kustomize"})
_PLAIN = frozenset({*_MANIFESTS, "patch-file", "from-env-file", "cert", "key", "values", "custom", "helm-command"})
_WITH_KEYS = frozenset({"from-file", "set-file"})
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://|git@|github\.com/")


def named_files(invocation: Invocation) -> Iterator[tuple[str, str]]:
    """(flag, path) for every file a line names; slices by commas are taken apart as pflag does."""
    for flag, values in invocation.flags.items():
        if flag in _PLAIN and not (flag == "key" and invocation.verb != "create secret tls"):
            yield from ((flag, part) for value in values for part in value.split(","))
        elif flag in _WITH_KEYS:
            yield from ((flag, part.rpartition("=")[2]) for value in values for part in value.split(","))


def is_address(path: str) -> bool:
    return _ADDRESS.match(path) is not None


def is_plain_name(path: str) -> bool:
    """A relative name inside the workspace folder: no .., no hidden file, no pattern."""
    return path in {"-", ".", "./"} or _RELATIVE.fullmatch(path) is not None


def refuse_addresses(invocation: Invocation) -> None:
    """R6: what is behind an address can be anything at the time it is fetched."""
    for flag, path in named_files(invocation):
        if is_address(path):
            raise Refused("R6", f"--{flag} with an address is refused: what is fetched cannot be judged beforehand.")


def refuse_foreign_files(invocation: Invocation) -> None:
    """R4: a line that runs without approval may print what it reads, so it reads the workspace only."""
    for flag, path in named_files(invocation):
        if not is_plain_name(path):
            raise Refused("R4", f"--{flag} {path!r}: name a file of your folder, by its relative name.")
