"""What an undo changes, value by value, as people read it. Pure; of a Secret never a value, elsewhere none that is one.

`replicas 4 → 2`, `image web:1.3 → web:1.2`, `env LOG_LEVEL debug → info`: now on the left, what goes back on the right.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from core.redaction import MARK, is_secret, redact
from core.snapshot import Manifest
from core.undo_rules import ABSENT, Path, field_words, keyed_lists, meaning

LONGEST = 200
"""Characters of all values of one object together: sentences of several objects stand in one message."""
_SHOWN_LENGTH = 60
_LEAD_LENGTH = 12
_NAMES = 3
_HIDDEN = frozenset({"data", "stringData"})
_CONTAINERS = re.compile(r"^containers\[[^\]]+\]\.")
_Difference = tuple[Path, Any, Any]


def changed(live: Manifest, restored: Manifest) -> str:
    """What differs in meaning, at most LONGEST characters; "" where nothing does."""
    found = list(_differences(meaning(live), meaning(restored), path=()))
    if live.get("kind") == "Secret":
        keys = [path for path, _, _ in found if path[0] in _HIDDEN and len(path) > 1]
        others = [field_words(path) for path, _, _ in found if path[0] not in _HIDDEN]
        return _joined([*([counted_keys(len(keys))] if keys else []), *others])
    is_alone = len(_containers(restored)) < 2  # noqa: PLR2004  two need their names
    return _joined([_told(one, is_alone=is_alone) for one in found])


def contents(manifest: Manifest) -> str:
    """What an object that is made again holds, in short; "" for kinds that have no short form."""
    match manifest.get("kind"):
        case "Secret" | "ConfigMap":
            return counted_keys(sum(len(manifest.get(part) or {}) for part in ("data", "binaryData")))
        case "Deployment" | "StatefulSet" | "ReplicaSet" | "DaemonSet":
            replicas = (manifest.get("spec") or {}).get("replicas")
            images = [f"image {shown('image', one.get('image'))}" for one in _containers(manifest)]
            return _joined([*([f"replicas {replicas}"] if replicas is not None else []), *images])
        case _:
            return ""


def counted_keys(count: int) -> str:
    return f"{count} key{'' if count == 1 else 's'}"


def shown(field: str, value: object) -> str:
    """The value, unless it or any name on the way to it says that it is a secret."""
    text = redact(_plain(value))
    names = re.findall(r"[\w-]+", field)[-_NAMES:]
    return MARK if is_secret(text, *names) else " ".join(text.split())


def _plain(value: object) -> str:
    match value:
        case _ if value is ABSENT or value is None:
            return "(none)"
        case str():
            return value
        case _:
            return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _differences(now: Mapping[str, Any], then: Mapping[str, Any], *, path: Path) -> Iterator[_Difference]:
    for key in sorted({*now, *then}):
        old, new = now.get(key, ABSENT), then.get(key, ABSENT)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, path=(*path, key))
        elif isinstance(old, dict) and new is ABSENT and path in {(), ("metadata",)}:
            yield from _differences(old, {}, path=(*path, key))
        elif isinstance(new, dict) and old is ABSENT and path in {(), ("metadata",)}:
            yield from _differences({}, new, path=(*path, key))
        elif (keyed := keyed_lists(key, (old, new, new))) is not None:
            yield from _differences(keyed[0], keyed[1], path=(*path, key))
        else:
            yield (*path, key), old, new


def _told(difference: _Difference, *, is_alone: bool) -> str:
    path, old, new = difference
    if len(path) > 1 and path[-2] == "env":
        old, new = _env_value(old), _env_value(new)
    name, field = _name(path, is_alone=is_alone), field_words(path)
    if path[0] == "binaryData":
        return f"{name} (binary)"
    before, after = shown(field, old), shown(field, new)
    if MARK in {before, after} or before == after:
        return f"{name} (hidden)"
    return f"{name} {' → '.join(_around_difference(before, after))}"


def _env_value(element: object) -> object:
    return element.get("value", element) if isinstance(element, dict) else element


def _name(path: Path, *, is_alone: bool) -> str:
    """What people call the field."""
    match path:
        case ("data" | "binaryData", key):
            return f"key {key}"
        case ("metadata", "labels", key):
            return f"label {key}"
        case ("metadata", "annotations", key):
            return f"annotation {key}"
        case (*_, "env", key) | (*_, "env", key, "value"):
            return f"env {key}" if is_alone else f"env {key} of {_container(path)}"
        case (*_, "containers" | "initContainers", container, "image"):
            return "image" if is_alone else f"image of {container}"
        case _:
            words = field_words(path).removeprefix("spec.").removeprefix("template.spec.")
            return _CONTAINERS.sub("", words) if is_alone else words


def _container(path: Path) -> str:
    return path[path.index("env") - 1]


def _containers(manifest: Manifest) -> list[Mapping[str, Any]]:
    spec = manifest.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    pod = template.get("spec") if isinstance(template, dict) else spec
    return list((pod.get("containers") if isinstance(pod, dict) else None) or [])


def _around_difference(*texts: str) -> tuple[str, ...]:
    """Each cut to where they begin to differ."""
    if all(len(text) <= _SHOWN_LENGTH for text in texts):
        return texts
    common = next(
        (place for place, letters in enumerate(zip(*texts, strict=False)) if len(set(letters)) > 1),
        min(len(text) for text in texts),
    )
    start = max(0, common - _LEAD_LENGTH)
    return tuple(
        ("…" if start else "")
        + text[start : start + _SHOWN_LENGTH]
        + ("…" if len(text) > start + _SHOWN_LENGTH else "")
        for text in texts
    )


def _joined(told: list[str]) -> str:
    """As many as fit, and how many more there are."""
    kept: list[str] = []
    for one in told:
        if kept and len(", ".join([*kept, one])) > LONGEST:
            break
        kept.append(one)
    more = len(told) - len(kept)
    return ", ".join(kept) + (f" and {more} more" if more else "")
