"""From a judged line to the exact line people are asked about: its targets as they are, its fields as they stand."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Protocol

from core.effects import WHOLE, FieldPath, Judged
from core.errors import InvalidInputError, NotFoundError
from core.permit import PermittedLine, Precondition
from core.resources import Resource
from core.snapshot import Manifest

LONGEST_VALUE = 200
_CONTAINERS = ("containers", "initContainers")


class Targets(Protocol):
    """What this asks of the cluster."""

    async def resolve(self, judged: Judged) -> tuple[Resource, ...]: ...

    async def read(self, resource: Resource) -> Manifest | None: ...


async def permitted_line(judged: Judged, cluster: Targets, *, undo: str = "") -> PermittedLine:
    """The line with everything that an approval of it binds. ResolverError where targets or fields cannot be read."""
    if judged.risk is None or judged.aim is None:
        raise InvalidInputError(f"Which objects it changes cannot be told, so it cannot be asked for: {judged.line}")
    targets = await cluster.resolve(judged)
    return PermittedLine(
        line=judged.line,
        stages=judged.stages,
        verdict=judged.risk,
        rule=judged.rule,
        namespace=judged.aim.namespace,
        targets=targets,
        preconditions=await present_values(targets, judged.aim.fields, cluster),
        files=tuple((one.name, one.digest) for one in judged.files or ()),
        undo=undo,
    )


async def present_values(
    targets: Sequence[Resource], fields: Sequence[FieldPath], cluster: Targets
) -> tuple[Precondition, ...]:
    """The fields of each target that exists, as they are now. NotFoundError where one went since it was resolved."""
    found: list[Precondition] = []
    for target in targets:
        if target.uid is None or not fields:
            continue
        manifest = await cluster.read(target)
        if manifest is None:
            raise NotFoundError(f"{target} does not exist any more.")
        found += preconditions(target, manifest, fields)
    return tuple(found)


def preconditions(target: Resource, manifest: Manifest, fields: Sequence[FieldPath]) -> list[Precondition]:
    """Pure. Of a Secret only its version is told, never a value."""
    if target.kind == "Secret" and fields:
        fields = (WHOLE,)
    found: list[Precondition] = []
    for field in fields:
        path = _path_in(manifest, field)
        found.append(Precondition(target, path, value_at(manifest, path)))
    return found


def differences(before: Sequence[Precondition], now: Sequence[Precondition]) -> list[str]:
    """A sentence per field of `before` that is another one now; a target that went is not looked at."""
    present = {(one.target, one.path): one.value for one in now}
    return [
        f"{'.'.join(one.path)} of {one.target} was {one.value} and is {present[one.target, one.path]} now"
        for one in before
        if present.get((one.target, one.path), one.value) != one.value
    ]


def value_at(manifest: Manifest, path: FieldPath) -> str:
    """Canonical JSON of the field, "null" where it is absent, "sha256:…" where it is long."""
    value: Any = manifest
    for step in path:
        if isinstance(value, list):
            value = next((one for one in value if isinstance(one, dict) and one.get("name") == step), None)
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            value = None
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text if len(text) <= LONGEST_VALUE else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _path_in(manifest: Manifest, path: FieldPath) -> FieldPath:
    """Where this kind of object has the field: a pod is its own template, and a container may be an init container."""
    if path == WHOLE:
        has_generation = (manifest.get("metadata") or {}).get("generation") is not None
        return WHOLE if has_generation else ("metadata", "resourceVersion")
    if path[:2] == ("spec", "template"):
        if manifest.get("kind") == "Pod":
            path = ("spec", *path[3:])
        elif manifest.get("kind") == "CronJob":
            path = ("spec", "jobTemplate", *path)
    if _CONTAINERS[0] in path[:-1] and value_at(manifest, path[:-1]) == "null":
        return tuple(_CONTAINERS[1] if step == _CONTAINERS[0] else step for step in path)
    return path
