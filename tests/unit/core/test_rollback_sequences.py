"""Random changes of random objects: do then undo is the start, and what somebody else did in between is never lost."""

import asyncio
import copy
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from core.effects import Change
from core.resolution import ResolutionId, SnapshotId
from core.resources import Resource
from core.rollback import RollbackManager
from core.snapshot import Snapshot, SnapshotEntry
from core.undo_rules import RESTARTED, after_change, meaning
from tests.fakes.cluster import FakeCluster
from tests.fakes.permits import rollback_permit
from tests.unit.core.examples import NOW

NAMES = ("web", "api", "settings")
KEYS = st.sampled_from(["a", "b", "c.d/e"])
VALUES = st.sampled_from(["1", "2", "3"])
IMAGES = st.sampled_from(["shop/web:1", "shop/web:2", "shop/web:3"])
MAPS = st.dictionaries(KEYS, VALUES, max_size=3)


@st.composite
def workloads(draw, name):
    kind = draw(st.sampled_from(["Deployment", "StatefulSet"]))
    containers = [
        {"name": container, "image": draw(IMAGES), "env": [{"name": key, "value": "x"} for key in draw(MAPS)]}
        for container in draw(st.lists(st.sampled_from(["main", "side"]), min_size=1, max_size=2, unique=True))
    ]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}
    return kind, {"replicas": draw(st.integers(0, 4)), "template": template}


@st.composite
def manifests(draw, name):
    metadata = {"name": name, "namespace": "shop", "uid": f"u-{name}", "resourceVersion": "1", "labels": draw(MAPS)}
    if name == "settings":
        kind = draw(st.sampled_from(["ConfigMap", "Secret"]))
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": draw(MAPS)}
    kind, spec = draw(workloads(name))
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


CLUSTERS = st.tuples(*(manifests(name) for name in NAMES))


@dataclass(frozen=True)
class Edit:
    """Something done to an object by anybody: a function of it, or its deletion or creation."""

    name: str
    what: str
    key: str = ""
    value: str = ""
    number: int = 0

    def of(self, manifest):
        """The object after it; None for gone."""
        if self.what == "delete":
            return None
        edited = copy.deepcopy(manifest)
        spec = edited.get("spec")
        if self.what == "label" or spec is None:
            place = edited.setdefault("data", {}) if spec is None and self.what != "label" else _labels(edited)
            _put(place, self.key, self.value)
        elif self.what == "scale":
            spec["replicas"] = self.number
        elif self.what == "image":
            containers = spec["template"]["spec"]["containers"]
            containers[self.number % len(containers)]["image"] = f"shop/web:{self.value}"
        elif self.what == "env":
            containers = spec["template"]["spec"]["containers"]
            entries = containers[self.number % len(containers)]["env"]
            entries[:] = [one for one in entries if one["name"] != self.key]
            entries.append({"name": self.key, "value": self.value})
        else:
            notes = spec["template"]["metadata"].setdefault("annotations", {})
            notes[RESTARTED] = self.value
        return edited


def _labels(manifest):
    return manifest["metadata"].setdefault("labels", {})


def _put(place, key, value):
    if value == "3":
        place.pop(key, None)
    else:
        place[key] = value


DEEDS = ["scale", "image", "env", "label", "restart", "data"]
EDITS = st.builds(Edit, st.sampled_from(NAMES), st.sampled_from([*DEEDS, "delete"]), KEYS, VALUES, st.integers(0, 4))


@dataclass
class Play:
    """Our changes with their entries, and somebody else's without."""

    cluster: FakeCluster
    entries: list = field(default_factory=list)

    async def ours(self, edit, *, meanwhile=None):
        """With `meanwhile`, somebody else's edit comes between the snapshot and the change."""
        target = self._target(edit.name)
        if target is None:
            return
        before = await self.cluster.read(target)
        change = Change.DELETE if edit.what == "delete" else Change.WRITE
        entry = SnapshotEntry(len(self.entries) + 1, target, change, before, edit.of(before))
        if meanwhile is not None:
            await self.somebody(meanwhile)
        live = await self.cluster.read(target)
        await self._write(target, edit.of(live))
        seen = await self.cluster.read(target)
        after = None if seen is None else after_change(entry, seen)
        self.entries.append(replace(entry, after=after, is_after_read=True, state="done"))

    async def somebody(self, edit):
        """The object, and how it was before and after; None where there was none."""
        target = self._target(edit.name)
        if target is None:
            return None
        before = await self.cluster.read(target)
        await self._write(target, edit.of(before))
        return target, before, await self.cluster.read(target)

    def _target(self, name):
        return next((one for one in self.cluster.objects if one.name == name), None)

    async def _write(self, target, manifest):
        if manifest is None:
            del self.cluster.objects[target]
        else:
            await self.cluster.replace(manifest, is_dry_run=False)

    async def undo(self):
        manager = RollbackManager(self.cluster, self._record, lambda: NOW, settle_seconds=0)
        snapshot = Snapshot(SnapshotId("s-1"), ResolutionId("r-1"), NOW, tuple(self.entries))
        return await manager.rollback(snapshot, permit=rollback_permit(snapshot))

    async def _record(self, _, changed):
        done = {one.seq: one for one in changed}
        self.entries = [done.get(one.seq, one) for one in self.entries]


def over(start):
    """A cluster of these objects."""
    objects = {Resource(one["kind"], one["metadata"]["name"], "shop", one["apiVersion"]): one for one in start}
    return Play(FakeCluster(copy.deepcopy(objects)))


def unrestarted(manifest):
    plain = copy.deepcopy(meaning(manifest))
    metadata = plain.get("spec", {}).get("template", {}).get("metadata", {})
    metadata.get("annotations", {}).pop(RESTARTED, None)
    if not metadata.get("annotations"):
        metadata.pop("annotations", None)
    if not plain["metadata"].get("labels"):
        plain["metadata"].pop("labels", None)
    return plain


@given(CLUSTERS, st.lists(EDITS, max_size=6))
def test_do_then_undo_is_the_start_and_asking_again_writes_nothing(start, edits):
    async def story():
        play = over(start)
        for edit in edits:
            await play.ours(edit)
        report = await play.undo()
        end = copy.deepcopy(play.cluster.objects)
        again = await play.undo()
        return play, report, end, again

    play, report, end, again = asyncio.run(story())

    assert report.is_success, report.errors
    assert {resource.name: unrestarted(one) for resource, one in end.items()} == {
        one["metadata"]["name"]: unrestarted(one) for one in start
    }
    assert {step.status for step in again.steps} <= {"skipped"}
    assert play.cluster.objects == end


def leaves(one, path=()):
    """Every value by its path; elements of a list by their name."""
    if isinstance(one, list):
        one = {element["name"]: element for element in one}
    if isinstance(one, dict):
        return {found: value for key, inner in one.items() for found, value in leaves(inner, (*path, key)).items()}
    return {path: one}


@given(CLUSTERS, st.lists(EDITS, min_size=1, max_size=4), EDITS, st.integers(0, 4))
def test_what_somebody_did_in_between_is_never_lost(start, edits, foreign, moment):
    async def story():
        play = over(start)
        seen = None
        written = []
        for place in range(len(edits) + 1):
            if place == min(moment, len(edits)):
                seen = await play.somebody(foreign)
            if place < len(edits):
                await play.ours(edits[place])
                written.append(copy.deepcopy(play.cluster.objects))
        await play.undo()
        return play.cluster.objects, seen, written

    objects, seen, written = asyncio.run(story())

    if seen is None:
        return  # it was gone when somebody came
    target, before, after = seen
    if after is None:
        assert target not in objects
        return
    old, new, end = (leaves(meaning(one)) for one in (before, after, objects[target]))
    ours = [leaves(meaning(one[target])) for one in written if target in one]
    for path in {*old, *new}:
        if old.get(path) == new.get(path) or RESTARTED in path:  # a restart is put back by nobody
            continue
        if any(one.get(path) == new.get(path) for one in ours):
            continue  # somebody set exactly what a step of ours had written: no one can tell whose it is
        assert end.get(path) == new.get(path), path


@given(
    CLUSTERS, st.builds(Edit, st.sampled_from(NAMES), st.sampled_from(DEEDS), KEYS, VALUES, st.integers(0, 4)), EDITS
)
def test_what_somebody_did_between_snapshot_and_change_is_never_lost(start, edit, foreign):
    async def story():
        play = over(start)
        target = play._target(edit.name)
        before = await play.cluster.read(target)
        theirs = replace(foreign, name=edit.name, what="label" if foreign.what == "delete" else foreign.what)
        await play.ours(edit, meanwhile=theirs)
        seen = await play.cluster.read(target)
        await play.undo()
        return before, theirs.of(before), edit.of(before), seen, await play.cluster.read(target)

    before, theirs, ours, seen, end = (leaves(meaning(one)) for one in asyncio.run(story()))

    for path in {*before, *theirs, *ours}:
        is_ours, is_theirs = (before.get(path) != one.get(path) for one in (ours, theirs))
        if RESTARTED in path or (is_ours and is_theirs):
            continue  # a restart is put back by nobody; where both wrote, ours came last
        assert end.get(path) == (before if is_ours else seen).get(path), path
