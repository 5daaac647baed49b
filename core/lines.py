"""From a judged line to the exact line people are asked about: its targets as they are, its fields as they stand."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from core.effects import WHOLE, FieldPath, Judged
from core.errors import InvalidInputError, NotFoundError
from core.permit import Permit, PermitRule, PermittedLine, Precondition, shown_value
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


async def changes_since(line: PermittedLine, judged: Judged, cluster: Targets) -> list[str]:
    """A sentence per target or field that is not as it was approved. ResolverError where it cannot be looked at.

    Targets that went are no change: what is left was approved.
    """
    approved = {target: target.uid for target in line.targets}
    targets = await cluster.resolve(judged)
    found = [f"It would change {one} too now." for one in targets if one not in approved]
    found += [_another(one) for one in targets if one in approved and approved[one] != one.uid]
    if not found and not line.covers(judged, targets):
        found.append("The line is judged otherwise now than when it was approved.")
    for one in targets if not found and line.preconditions else ():
        manifest = await cluster.read(one)
        if manifest is not None:
            found += changed_fields(line.preconditions, one, manifest)
    return found


async def narrowed(permit: Permit, cluster: Targets) -> tuple[Permit | None, list[str]]:
    """The permit without rules whose object is gone, is another one or is not as it was shown, and why each was left.

    None where no rule of a permit that had some is left.
    """
    kept: list[PermitRule] = []
    left_out: list[str] = []
    for rule in permit.rules:
        live = await cluster.read(rule.target)
        if live is None:
            left_out.append(f"{rule.target} does not exist any more.")
        elif rule.target.uid not in {None, live.get("metadata", {}).get("uid")}:
            left_out.append(_another(rule.target))
        elif changed := changed_fields(rule.preconditions, rule.target, live):
            left_out += changed
        else:
            kept.append(rule)
    if permit.rules and not kept:
        return None, list(dict.fromkeys(left_out))
    return replace(permit, rules=tuple(kept)), list(dict.fromkeys(left_out))


def _another(target: Resource) -> str:
    return f"{target} is another object now than the one that was approved."


def changed_fields(preconditions: Sequence[Precondition], target: Resource, manifest: Manifest) -> list[str]:
    """A sentence per field of this target that is another one now than was shown. Pure."""
    found = []
    for one in preconditions:
        now = value_at(manifest, one.path)
        if one.target == target and now != one.value:
            was, is_now = shown_value(one.path, one.value), shown_value(one.path, now)
            found.append(f"{'.'.join(one.path)} of {target} was {was} and is {is_now} now.")
    return found


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
