"""What an execution does around one command: all that it touches is read before it and after it."""

import base64
import json

from core.effects import Change
from core.resources import Resource
from core.snapshot import SnapshotEntry, UndoStep
from tests.cluster import objects, waiting
from tests.cluster.story import Story

Manifest = objects.Manifest


async def act(story: Story, *targets: Resource, line: tuple[str, ...], may_fail: bool = False) -> None:
    """Runs kubectl with the product's runner; one entry a target, the last of them undone first."""
    befores = [await story.cluster.read(target) for target in targets]
    done = await story.cluster.run((("kubectl", *line),), folder=story.folder, seconds=60, namespace=story.namespace)
    assert may_fail or done.exit_code == 0, done.output
    for target, before in zip(targets, befores, strict=True):
        await note(story, target, before)


async def delete(story: Story, target: Resource, *options: str) -> tuple[Resource, ...]:
    """Deletes with kubectl, with a snapshot of all that goes with it; returns what that was, itself last."""
    going = [*await story.cluster.touched_by_deletion(target), await story.cluster.read(target)]
    assert going[-1] is not None, f"{target} does not exist"
    where = ("-n", target.namespace) if target.namespace else ()
    line = ("delete", f"{plural(target)}/{target.name}", *where, *options)
    done = await story.cluster.run((("kubectl", *line),), folder=story.folder, seconds=90, namespace=story.namespace)
    assert done.exit_code == 0, done.output
    taken = tuple(resource_of(one) for one in going if one is not None)
    for resource, before in zip(taken, going, strict=True):
        if resource == target and "--wait=false" not in options:
            await waiting.eventually(lambda one=resource: story.cluster.read(one), lambda seen: seen is None)
        await note(story, resource, before)
    return taken


async def note(story: Story, target: Resource, before: Manifest | None, *, change: Change = Change.SET_IMAGE) -> None:
    """An entry as an execution leaves it: before, and read back after."""
    after = await story.cluster.read(target)
    seq = len(story.entries) + 1
    story.entries.append(SnapshotEntry(seq, target, change, before, after, is_after_read=True, state="done"))


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
