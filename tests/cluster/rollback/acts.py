"""What an execution does around one command: all that it touches is read before it and after it."""

import base64
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from core.effects import Change, Judged
from core.resources import Resource
from core.risk_levels import RiskLevel
from core.snapshot import SnapshotEntry, Touched, UndoStep
from core.undo_rules import after_change
from tests.cluster import objects, waiting
from tests.cluster.story import Story

Manifest = objects.Manifest


async def act(
    story: Story,
    *targets: Resource,
    line: tuple[str, ...],
    may_fail: bool = False,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Runs kubectl with the product's runner; one entry a target, the last of them undone first.

    All of them must be found before by what the product finds. `meanwhile` happens between that and the change.
    """
    found = {one.target: one for one in await touched(story, "kubectl", *line)}
    meanwhile()
    done = await story.cluster.run((("kubectl", *line),), folder=story.folder, seconds=60, namespace=story.namespace)
    assert may_fail or done.exit_code == 0, done.output
    for target in targets:
        proposed = found[target].proposed if found[target].is_tried else None
        await note(story, target, found[target].before, proposed=proposed)


async def delete(story: Story, target: Resource, *options: str) -> tuple[Resource, ...]:
    """Deletes with kubectl, with a snapshot of all that goes with it; returns what that was, itself last."""
    where = ("-n", target.namespace) if target.namespace else ()
    line = ("delete", f"{plural(target)}/{target.name}", *where, *options)
    found = await touched(story, "kubectl", *line)
    assert all(one.is_deleted for one in found)
    going = [one.before for one in found]
    done = await story.cluster.run((("kubectl", *line),), folder=story.folder, seconds=90, namespace=story.namespace)
    assert done.exit_code == 0, done.output
    taken = tuple(resource_of(one) for one in going if one is not None)
    for resource, before in zip(taken, going, strict=True):
        if resource == target and "--wait=false" not in options:
            await waiting.eventually(lambda one=resource: story.cluster.read(one), lambda seen: seen is None)
        await note(story, resource, before)
    return taken


async def touched(story: Story, *argv: str) -> Sequence[Touched]:
    """What the product finds that a line would touch."""
    judged = Judged(" ".join(argv), RiskLevel.CRITICAL, "R8", "a test", (argv,), verb=" ".join(argv[:2]))
    return await story.cluster.touched(judged, folder=story.folder, namespace=story.namespace)


async def note(story: Story, target: Resource, before: Manifest | None, *, proposed: Manifest | None = None) -> None:
    """An entry as an execution leaves it: before, and read back after."""
    seen = await story.cluster.read(target)
    entry = SnapshotEntry(len(story.entries) + 1, target, Change.WRITE, before, proposed)
    after = None if seen is None else after_change(entry, seen)
    story.entries.append(replace(entry, after=after, is_after_read=True, state="done"))


def before_deletion(story: Story, meanwhile: Callable[[], Awaitable[None]]) -> None:
    """`meanwhile` happens once, between the undo's look at an object and its deletion of it."""
    delete, left = story.cluster.delete, [meanwhile]

    async def overtaken(resource: Resource, *, is_dry_run: bool) -> None:
        if left:
            await left.pop()()
        await delete(resource, is_dry_run=is_dry_run)

    story.cluster.delete = overtaken


async def step(story: Story) -> UndoStep:
    """The undo of the one entry there is."""
    report = await story.undo()
    (only,) = report.steps
    return only


def plural(target: Resource) -> str:
    group = target.api_version.rpartition("/")[0]
    return f"{target.kind.lower()}.{group}" if group else target.kind.lower()


def resource_of(manifest: Manifest) -> Resource:
    metadata = manifest["metadata"]
    return Resource(
        manifest["kind"], metadata["name"], metadata.get("namespace"), manifest["apiVersion"], metadata["uid"]
    )


def write(story: Story, name: str, manifest: Manifest) -> None:
    """A file in the folder that commands run in."""
    (story.folder / name).write_text(json.dumps(manifest))


def bundle_patch(certificate: bytes) -> str:
    value = base64.b64encode(certificate).decode()
    return json.dumps([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": value}])
