"""What a change would make of an object, field by field, as people read it and as it is compared again. Pure."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from core.redaction import is_secret, redact
from core.resources import Resource
from core.snapshot import Manifest

LONGEST_VALUE = 160
LONGEST = 20_000
_DERIVED = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"})
_DERIVED_NOTES = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
RESTARTED = "kubectl.kubernetes.io/restartedAt"
RUN_TIME = "1970-01-01T00:00:00Z"
"""Stands for the time at which a restart will be run, so that it shows the same whenever it is asked."""
_WHEN_IT_RUNS = "(the time it runs)"
_STEP = re.compile(r"[^.\[\]]+")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_HIDDEN = frozenset({"data", "stringData"})


def diff(target: Resource, before: Manifest | None, after: Manifest | None) -> str:
    """One line per field that differs, under the object's name; "" where nothing does.

    What the API server derives is left out; a value too long to show is named by its digest, so that two differences
    are the same exactly when the changes are. Of a Secret no value is shown, nor what else is recognised as a secret.
    """
    if after is None:
        return "" if before is None else f"{target}\n  is deleted"
    is_secret = target.kind == "Secret"
    old, new = dict(_fields(before, is_secret=is_secret)), dict(_fields(after, is_secret=is_secret))
    lines = [] if before is not None else ["  is created"]
    changed = [path for path in sorted(old.keys() | new.keys()) if old.get(path) != new.get(path)]
    lines += [f"  {path}: {_change(old.get(path), new.get(path))}" for path in changed]
    told = "\n".join([str(target), *lines])
    if not lines:
        return ""
    return told if is_secret else redact(told)  # of a Secret all values are hidden already, told apart by digests


def joined(parts: list[str]) -> str:
    """All objects of one line; cut with a digest of the whole, so that it stays comparable."""
    text = "\n".join(one for one in parts if one)
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n… cut here (sha256 of the whole: {_digest(text)})"


def _change(old: str | None, new: str | None) -> str:
    if old is None:
        return f"+ {new}"
    return f"- {old}" if new is None else f"{old} → {new}"


def _fields(manifest: Manifest | None, *, is_secret: bool) -> Iterator[tuple[str, str]]:
    if manifest is None:
        return
    for key, value in manifest.items():
        if key in {"apiVersion", "kind", "status"}:
            continue
        kept = value
        if key == "metadata" and isinstance(value, Mapping):
            kept = {name: one for name, one in value.items() if name not in _DERIVED}
            notes = kept.get("annotations")
            if isinstance(notes, Mapping):
                kept["annotations"] = {name: one for name, one in notes.items() if name not in _DERIVED_NOTES}
        yield from _leaves(key, kept, is_hidden=is_secret and key in _HIDDEN)


def _leaves(path: str, value: Any, *, is_hidden: bool) -> Iterator[tuple[str, str]]:  # noqa: ANN401  JSON
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(f"{path}{_step(str(key))}", inner, is_hidden=is_hidden)
    elif isinstance(value, list) and value:
        names = [one.get("name") if isinstance(one, Mapping) else None for one in value]
        has_names = all(isinstance(one, str) for one in names) and len(set(names)) == len(names)
        for number, inner in enumerate(value):
            yield from _leaves(f"{path}[{names[number] if has_names else number}]", inner, is_hidden=is_hidden)
    elif value not in (None, {}, [], ""):
        is_to_come = RESTARTED in path and value == RUN_TIME
        shown = _WHEN_IT_RUNS if is_to_come else json.dumps(value, ensure_ascii=False, sort_keys=True)
        yield path, f"(hidden, {_digest(shown)})" if is_hidden or _is_secret(path, shown) else _short(shown)


def _is_secret(path: str, shown: str) -> bool:
    """By its key, or by the name of the variable that it is the value of."""
    steps = _STEP.findall(path)
    return is_secret(shown, *(steps[-2:] if steps[-1] == "value" else steps[-1:]))


def _step(key: str) -> str:
    return f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{key}]"


def _short(shown: str) -> str:
    if len(shown) <= LONGEST_VALUE:
        return shown
    return f"{shown[:LONGEST_VALUE]}… ({len(shown)} characters, sha256 {_digest(shown)})"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
