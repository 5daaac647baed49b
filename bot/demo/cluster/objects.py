"""The simulator's objects in memory: versions, uids, selectors, and who watches."""

import asyncio
import copy
import itertools
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from bot.demo.cluster.kinds import BY_KIND, Served

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace ("" for cluster-wide), name."""


class RefusedError(Exception):
    """What the API server would answer: an HTTP status, its reason and a message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class Objects:
    """All objects by kind, namespace and name. Every write takes the next resourceVersion and wakes the watchers."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._all: dict[Key, Object] = {}
        self._versions = itertools.count(1000)
        self.version = 1000
        self.changes: list[tuple[int, str, Object]] = []
        self.changed = asyncio.Condition()

    def now(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        return self._all.get((kind, namespace, name))

    def of(self, kind: str, namespace: str = "") -> Iterator[Object]:
        """All of a kind, in one namespace or everywhere, by name."""
        for (one, where, _), found in sorted(self._all.items()):
            if one == kind and (not namespace or where == namespace):
                yield found

    def put(self, given: Object) -> Object:
        """Creates or replaces without conditions; `generation` moves with the spec."""
        metadata = given.setdefault("metadata", {})
        served = BY_KIND[given["kind"]]
        given.setdefault("apiVersion", served.group_version)
        key = key_of(given)
        old = self._all.get(key)
        self.version = next(self._versions)
        metadata["resourceVersion"] = str(self.version)
        if old is None:
            metadata.setdefault("uid", str(uuid.uuid4()))
            metadata.setdefault("creationTimestamp", self.now())
            metadata.setdefault("generation", 1)
        else:
            metadata["uid"] = old["metadata"]["uid"]
            metadata["creationTimestamp"] = old["metadata"]["creationTimestamp"]
            is_same = old.get("spec") == given.get("spec")
            metadata["generation"] = old["metadata"].get("generation", 1) + (0 if is_same else 1)
        self._all[key] = given
        self._tell("MODIFIED" if old is not None else "ADDED", given)
        return given

    def remove(self, kind: str, namespace: str, name: str) -> Object | None:
        found = self._all.pop((kind, namespace, name), None)
        if found is not None:
            self.version = next(self._versions)
            self._tell("DELETED", found)
        return found

    def clear(self, namespace: str) -> None:
        for kind, where, name in list(self._all):
            if where == namespace:
                self.remove(kind, where, name)

    def _tell(self, what: str, one: Object) -> None:
        self.changes.append((self.version, what, copy.deepcopy(one)))
        del self.changes[:-2000]


def key_of(one: Object) -> Key:
    return one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]


def is_selected(one: Object, *, labels: str, fields: str) -> bool:
    """Label selectors of equality and set form, field selectors of equality."""
    own = one["metadata"].get("labels") or {}
    return all(_has_label(own, part) for part in _split(labels)) and all(
        _has_field(one, part) for part in _split(fields)
    )


def _split(selector: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for sign in selector:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and not depth:
            parts.append(current)
            current = ""
        else:
            current += sign
    return [part.strip() for part in [*parts, current] if part.strip()]


def _has_label(labels: dict[str, str], part: str) -> bool:
    for word, is_wanted in ((" notin ", False), (" in ", True)):
        if word in part:
            name, _, values = part.partition(word)
            among = [one.strip() for one in values.strip(" ()").split(",")]
            return (labels.get(name.strip()) in among) is is_wanted
    for sign, is_wanted in (("!=", False), ("==", True), ("=", True)):
        if sign in part:
            name, _, value = part.partition(sign)
            return (labels.get(name.strip()) == value.strip()) is is_wanted
    return (part.lstrip("!") in labels) is not part.startswith("!")


def _has_field(one: Object, part: str) -> bool:
    is_wanted = "!=" not in part
    path, _, value = part.partition("=" if is_wanted else "!=")
    found: Any = one
    for name in path.rstrip("=").split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return (str(found or "") == value.lstrip("=")) is is_wanted


def served_kind(one: Object) -> Served:
    return BY_KIND[one["kind"]]
