"""The gated toolbox changes a cluster: after a snapshot, one change at a time, only with the lease."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from core.effects import Change
from core.errors import LeaseLostError, NotAllowedError, UnavailableError
from core.permit import PermitRule
from core.ports import CommandResult
from core.resources import Resource
from tests.fakes.cluster import FakeCluster
from tests.fakes.records import MemoryRecords
from tests.unit.core import examples
from tests.unit.core.benches import DELETE, RESTART, Failing, bench, cluster_of, manifest
from tests.unit.core.examples import WEB, WEB_1


async def test_a_covered_change_is_snapshotted_then_run_then_read_back():
    at = bench()
    before = manifest(WEB, replicas=3)
    after = manifest(WEB, replicas=3, template="restarted")
    at.cluster.objects[WEB] = before
    at.cluster.effects[RESTART] = lambda: at.cluster.objects.update({WEB: after}) or "restarted"

    answer = await at.toolbox.bash(RESTART)

    assert not answer.is_error
    assert at.records.log == [
        "snapshot of Deployment shop/web",
        f"started {RESTART}",
        f"ended {RESTART}",
        "read back Deployment shop/web",
    ]
    entry = at.records.entries[1]
    assert (entry.before, entry.after, entry.is_after_read, entry.state) == (before, after, True, "done")
    assert (entry.change, entry.target.uid, entry.target.api_version) == (Change.RESTART, "uid-web", "apps/v1")
    assert at.toolbox.has_changed


async def test_a_deleted_pod_is_read_back_as_gone():
    at = bench()
    at.cluster.effects[DELETE] = lambda: at.cluster.objects.pop(WEB_1) and "deleted"

    await at.toolbox.bash(DELETE)

    assert (at.records.entries[1].after, at.records.entries[1].is_after_read) == (None, True)


async def test_each_change_has_an_entry_of_its_own_in_order():
    at = bench()
    for line in (DELETE, RESTART, RESTART):
        await at.toolbox.bash(line)

    assert [(entry.seq, entry.target.name) for entry in at.records.entries.values()] == [
        (1, "web-1"),
        (2, "web"),
        (3, "web"),
    ]


async def test_a_change_that_failed_is_read_back_all_the_same():
    at = bench(cluster=cluster_of(WEB, kind=Failing))

    answer = await at.toolbox.bash(RESTART)

    assert answer.is_error
    assert at.records.entries[1].is_after_read
    assert at.toolbox.has_changed


class Unreadable(FakeCluster):
    """Refuses to show any object."""

    async def read(self, resource):
        raise NotAllowedError("The API server refuses to show it.")


@pytest.mark.parametrize(
    ("cluster", "records", "words"),
    [
        (cluster_of(WEB, kind=Unreadable), MemoryRecords(), "The API server refuses to show it."),
        (cluster_of(), MemoryRecords(), "Deployment shop/web does not exist."),
        (
            cluster_of(WEB),
            MemoryRecords(snapshot_error=UnavailableError("The database does not answer.")),
            "The database does not answer.",
        ),
        (cluster_of(replace(WEB, uid="uid-of-another")), MemoryRecords(), "another object now than the one"),
    ],
)
async def test_no_snapshot_no_change(cluster, records, words):
    at = bench(cluster=cluster, records=records)

    answer = await at.toolbox.bash(RESTART)

    assert answer.is_error
    assert "so the change was not made" in answer.text
    assert words in answer.text
    assert (at.cluster.ran, at.toolbox.executed, at.toolbox.has_changed) == ([], [], False)
    assert [row.is_executed for row in at.records.commands.values()] == [False]


@pytest.mark.parametrize("line", [RESTART, "kubectl get pods", "kubectl delete ns shop"])
async def test_a_lost_lease_ends_the_run_and_nothing_is_run(line):
    at = bench(records=MemoryRecords(is_leased=False))

    with pytest.raises(LeaseLostError):
        await at.toolbox.bash(line)

    assert at.cluster.ran == []


async def test_a_lease_lost_between_snapshot_and_change_keeps_the_change_from_being_made():
    class LosesIt(MemoryRecords):
        async def add_snapshot_entries(self, resolution, entries):
            found = await super().add_snapshot_entries(resolution, entries)
            self.is_leased = False
            return found

    at = bench(records=LosesIt())

    with pytest.raises(LeaseLostError):
        await at.toolbox.bash(RESTART)

    assert at.cluster.ran == []


class Slow(FakeCluster):
    """Takes a second for each command and counts how many run at once."""

    at_once: int = 0
    most_at_once: int = 0

    async def run(self, stages, **given):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(1)
        self.at_once -= 1
        return await super().run(stages, **given)


async def all_at_once(at, *lines):
    async with asyncio.TaskGroup() as group:
        for line in lines:
            group.create_task(at.toolbox.bash(line))


@pytest.mark.looptime
async def test_changes_are_made_one_at_a_time(looptime):
    at = bench(cluster=cluster_of(WEB, WEB_1, kind=Slow))
    await all_at_once(at, RESTART, DELETE, RESTART)

    assert at.cluster.most_at_once == 1
    assert looptime == 3
    kinds = [word.split()[0] for word in at.records.log]
    assert kinds == ["snapshot", "started", "ended", "read"] * 3


@pytest.mark.looptime
async def test_reads_do_not_wait_for_each_other(looptime):
    at = bench(cluster=cluster_of(kind=Slow))
    await all_at_once(at, *["kubectl get pods"] * 3)

    assert looptime == 1


@pytest.mark.looptime
async def test_a_change_that_is_cancelled_is_recorded_as_stopped_and_read_back(looptime):
    at = bench(cluster=cluster_of(WEB, kind=Slow))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await at.toolbox.bash(RESTART)

    row = at.records.commands[1]
    assert (row.is_executed, row.exit_code, row.output) == (True, None, "stopped before it ended")
    assert at.records.entries[1].is_after_read


async def test_the_command_runs_with_what_was_judged_in_the_folder_and_namespace_of_the_resolution():
    seen = {}

    class Watching(FakeCluster):
        async def run(self, stages, **given):
            seen.update(given, stages=stages)
            return CommandResult(0, "")

    at = bench(cluster=Watching())
    await at.toolbox.bash("kubectl get 'pods' | grep web")

    assert seen == {
        "stages": (("kubectl", "get", "pods"), ("grep", "web")),
        "folder": Path("/nowhere"),
        "seconds": 60.0,
        "namespace": "shop",
    }


async def test_a_target_known_by_name_only_is_taken_as_it_is():
    nameless = examples.permit(PermitRule(Change.RESTART, Resource("Deployment", "web", "shop")))
    at = bench(nameless, cluster=cluster_of(replace(WEB, uid="any")))

    assert not (await at.toolbox.bash(RESTART)).is_error


async def test_a_change_whose_result_cannot_be_read_back_is_still_an_answer():
    class GoesBlind(FakeCluster):
        async def read(self, resource):
            if self.ran:
                raise UnavailableError("The Kubernetes API did not answer.")
            return await super().read(resource)

    at = bench(cluster=cluster_of(WEB, kind=GoesBlind))

    await at.toolbox.bash(RESTART)

    assert at.records.commands[1].exit_code == 0
    assert not at.records.entries[1].is_after_read


async def test_what_could_not_be_put_back_is_not_changed_and_the_role_line_to_add_is_told():
    here = bench()
    here.cluster.unkept.add(WEB_1)

    answer = await here.toolbox.bash(DELETE)

    assert answer.is_error
    assert "Add to its Role" in answer.text
    assert here.cluster.ran == []
