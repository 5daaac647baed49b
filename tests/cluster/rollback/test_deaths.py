"""RB-52 to RB-54 on a real API server and a real PostgreSQL: death at any moment, one writer, no snapshot no change."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.cluster.client import open_cluster
from core.cluster.runner import kubectl_path
from core.history import Entry, Happened
from core.resolution import Resolution, ResolutionId, State
from core.resources import Resource
from core.rollback import RollbackManager
from core.snapshot import Snapshot
from storage.store import PostgresStorage
from tests.cluster import objects, waiting
from tests.cluster.rollback import executions
from tests.cluster.story import Story
from tests.fakes.permits import rollback_permit


@pytest.fixture
async def web(story: Story) -> Resource:
    target = await story.start(objects.workload("Deployment", story.namespace))
    await waiting.ready_workload(story.cluster, target)
    return target


def killed(moment: str, story: Story, database_url: str) -> ResolutionId:
    """A service of its own process, killed with -9 at that moment; the resolution it was at work on."""
    facts = {
        "namespace": story.namespace,
        "database": database_url,
        "kubeconfig": str(story.server.kubeconfig),
        "folder": str(story.folder),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster.rollback.dying", moment],
        input=json.dumps(facts),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == -9, done.stderr
    return ResolutionId(done.stdout.strip())


async def found_open(store: PostgresStorage, resolution_id: ResolutionId) -> tuple[Resolution, Snapshot]:
    """What a service that starts afterwards finds: the resolution, claimable, with its snapshot."""

    async def claim() -> list[Resolution]:
        return [one for one in await store.claim("next", limit=5) if one.id == resolution_id]

    (resolution,) = await waiting.eventually(claim, bool)
    assert resolution.snapshot_id is not None
    snapshot = await store.snapshot(resolution.snapshot_id)
    assert snapshot is not None
    return resolution, snapshot


async def replicas(story: Story, target: Resource) -> int:
    return int((await story.live(target))["spec"]["replicas"])


async def test_rb_52_killed_between_snapshot_and_change_nothing_was_changed_and_the_undo_says_so(
    web: Resource, story: Story, store: PostgresStorage, database_url: str
):
    resolution, snapshot = await found_open(store, killed("snapshot", story, database_url))

    assert await replicas(story, web) == 2
    assert [entry.state for entry in snapshot.entries] == ["open"]
    assert resolution.state is State.EXECUTING
    manager = RollbackManager(story.cluster, store.update_snapshot_entries, executions.clock)
    report = await manager.rollback(snapshot, permit=rollback_permit(snapshot))
    assert [step.status for step in report.steps] == ["skipped"]
    assert await replicas(story, web) == 2


async def test_rb_52_killed_between_change_and_record_the_open_entry_is_found_and_undone(
    web: Resource, story: Story, store: PostgresStorage, database_url: str
):
    resolution, snapshot = await found_open(store, killed("change", story, database_url))

    assert await replicas(story, web) == 4
    (entry,) = snapshot.entries
    assert (entry.state, entry.is_after_read) == ("open", False)
    overview = await store.overview(resolution.id)
    assert overview is not None
    assert overview.changes == 1
    manager = RollbackManager(story.cluster, store.update_snapshot_entries, executions.clock)
    report = await manager.rollback(snapshot, permit=rollback_permit(snapshot))
    assert [step.status for step in report.steps] == ["success"]
    assert await replicas(story, web) == 2


async def test_rb_52_killed_in_the_middle_of_a_rollback_a_retry_completes_it(
    web: Resource, story: Story, store: PostgresStorage, database_url: str
):
    _, snapshot = await found_open(store, killed("rollback", story, database_url))

    assert await replicas(story, web) == 4
    assert [entry.state for entry in snapshot.entries] == ["done", "done"]
    manager = RollbackManager(story.cluster, store.update_snapshot_entries, executions.clock)
    report = await manager.rollback(snapshot, permit=rollback_permit(snapshot))
    assert [(step.seq, step.status) for step in report.steps] == [(2, "skipped"), (1, "success")]
    assert await replicas(story, web) == 2


async def test_rb_53_a_second_resolution_is_refused_what_the_first_is_at_work_on(
    web: Resource, story: Story, store: PostgresStorage
):
    first, second = [await executions.executing(store, story.namespace) for _ in range(2)]

    def tools(resolution: Resolution):
        return executions.toolbox(resolution, web, store=store, cluster=story.cluster, folder=story.folder)

    await tools(first).bash("kubectl scale deployment/web --replicas=3")
    refused = await tools(second).bash("kubectl scale deployment/web --replicas=5")

    assert refused.is_error
    assert f"Resolution {first.id} is at work on Deployment {story.namespace}/web" in refused.text
    assert await replicas(story, web) == 3

    async with store.transaction() as tx:
        ended = Entry(Happened.FAILED, first.id)
        assert await tx.move(first, to=State.FAILED, because=ended)
    allowed = await tools(second).bash("kubectl scale deployment/web --replicas=5")

    assert not allowed.is_error
    assert await replicas(story, web) == 5


async def test_rb_54_what_may_not_be_read_is_not_changed(web: Resource, story: Story, store: PostgresStorage):
    may = {"verbs": ["patch"], "resources": ["deployments", "deployments/scale"]}
    objects.service_account_that_may(story.server, story.namespace, "blind", **may)
    kubeconfig = story.server.token_kubeconfig(story.namespace, "blind")
    running = await executions.executing(store, story.namespace)

    async with open_cluster(kubeconfig, kubectl=kubectl_path(None)) as blind:
        tools = executions.toolbox(running, web, store=store, cluster=blind, folder=story.folder)
        refused = await tools.bash("kubectl scale deployment/web --replicas=4")

    assert refused.is_error
    assert "No snapshot could be taken, so the change was not made" in refused.text
    assert "verbs: [get]" in refused.text
    assert await replicas(story, web) == 2
    overview = await store.overview(running.id)
    assert overview is not None
    assert [one.is_executed for one in overview.commands] == [False]
