"""Random lines on random objects of a real API server: do then undo is the start, and others' work is never lost."""

import json
import random
from collections.abc import Callable

import pytest

from core.errors import ResolverError
from core.resources import Resource
from core.undo_rules import meaning
from tests.cluster import objects
from tests.cluster.rollback import acts
from tests.cluster.story import Story

Line = tuple[str, ...]
KINDS = ("deployment", "configmap", "secret", "service")
NAMES = {"deployment": "web", "configmap": "settings", "secret": "keys", "service": "web"}


def _patch(kind: str, change: object) -> Line:
    return ("patch", kind, NAMES[kind], "--type=merge", "-p", json.dumps(change))


LINES: tuple[Callable[[random.Random], Line], ...] = (
    lambda dice: ("scale", "deployment/web", f"--replicas={dice.randint(0, 3)}"),
    lambda dice: ("set", "image", "deployment/web", f"web={dice.choice([objects.GOOD_IMAGE, objects.NEXT_IMAGE])}"),
    lambda dice: ("set", "env", "deployment/web", f"{dice.choice('AB')}={dice.choice('xy')}"),
    lambda dice: ("rollout", dice.choice(["pause", "resume"]), "deployment/web"),
    lambda dice: _labelled("label", dice),
    lambda dice: _labelled("annotate", dice),
    lambda dice: _patch("configmap", {"data": {dice.choice(["colour", "size"]): dice.choice(["1", "2", None])}}),
    lambda dice: _patch("secret", {"stringData": {"password": dice.choice("xyz")}}),
    lambda dice: _patch("service", {"spec": {"sessionAffinity": dice.choice(["None", "ClientIP"])}}),
    lambda dice: ("create", "configmap", f"made-{dice.randint(1, 2)}", "--from-literal=a=b"),
    lambda dice: ("delete", *dice.choice([("configmap", "settings"), ("secret", "keys"), ("service", "web")])),
)


def _labelled(verb: str, dice: random.Random) -> Line:
    kind = dice.choice(KINDS)
    return (verb, kind, NAMES[kind], dice.choice(["tier=a", "tier=b", "tier-", "step=1"]), "--overwrite")


async def start(story: Story) -> list[Resource]:
    manifests = (
        objects.workload("Deployment", story.namespace),
        objects.config_map(story.namespace, colour="red", size="10"),
        objects.secret(story.namespace, password="hunter2"),
        objects.service(story.namespace),
    )
    return [await story.start(one) for one in manifests]


async def ours(story: Story, line: Line) -> None:
    """As an execution runs it, whatever kubectl says; a line that its dry run refuses is not run."""
    try:
        found = await acts.touched(story, "kubectl", *line)
    except ResolverError:
        return
    await story.cluster.run((("kubectl", *line),), folder=story.folder, seconds=60, namespace=story.namespace)
    for one in found:
        await acts.note(story, one.target, one.before, proposed=one.proposed if one.is_tried else None)


async def seen(story: Story, targets: list[Resource]) -> dict[str, object]:
    found = {str(target): await story.cluster.read(target) for target in targets}
    return {name: None if one is None else _plain(one) for name, one in found.items()}


def _plain(manifest) -> object:
    """By the compare rule; an empty map of labels is as none."""
    told = json.loads(json.dumps(meaning(manifest)))
    for name in ("labels", "annotations"):
        if not told["metadata"].get(name):
            told["metadata"].pop(name, None)
    return told


@pytest.mark.parametrize("seed", range(6))
async def test_random_lines_and_their_undo_end_where_they_began(seed: int, story: Story):
    dice = random.Random(seed)
    targets = await start(story)
    began = await seen(story, targets)
    for _ in range(7):
        await ours(story, dice.choice(LINES)(dice))

    report = await story.undo()

    assert report.is_success, report.errors
    assert await seen(story, targets) == began
    made = [Resource("ConfigMap", f"made-{number}", story.namespace, "v1") for number in (1, 2)]
    assert set((await seen(story, made)).values()) == {None}
    again = await story.undo()
    assert {step.status for step in again.steps} <= {"skipped"}


@pytest.mark.parametrize("seed", range(100, 106))
async def test_what_somebody_wrote_in_between_is_there_after_the_undo(seed: int, story: Story):
    dice = random.Random(seed)
    targets = await start(story)
    theirs = [_patch(kind, {"metadata": {"labels": {"theirs": str(seed)}}}) for kind in KINDS]
    theirs.append(_patch("configmap", {"data": {"theirs": str(seed)}}))
    lines = [dice.choice(LINES[:-1])(dice) for _ in range(6)]
    foreign = dice.choice(theirs)
    place = dice.randint(0, 5)
    for number, line in enumerate(lines):
        if number == place:
            story.somebody(*foreign)
        await ours(story, line)

    await story.undo()

    end = json.dumps(list((await seen(story, targets)).values()))
    assert f'"theirs": "{seed}"' in end
