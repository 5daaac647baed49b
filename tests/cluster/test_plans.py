"""What a plan shows is what a real API server then does, and what moved since stops it."""

import copy
from dataclasses import replace
from functools import partial

import pytest

from core import diffs
from core.commands.gate import judge
from core.errors import StepFailedError
from core.execution import AgentProfile
from core.findings import IncidentContext
from core.grants import ReadyMade
from core.plan import Check, ProposedStep
from core.plan_execution import PlanRunner
from core.planning import Planner
from core.previews import Previewer
from core.replanning import Replanner
from core.resolution import ActionType
from core.resources import Resource
from core.verification import Verifier
from tests.cluster import objects, waiting
from tests.fakes.agents import ScriptedAgent
from tests.fakes.records import MemoryRecords
from tests.unit.core import examples
from tests.unit.core.examples import NOW


@pytest.fixture
async def web(story):
    """A Deployment of two revisions, with a ConfigMap beside it."""
    namespace = story.namespace
    target = Resource("Deployment", "web", namespace, "apps/v1")
    for image in (objects.GOOD_IMAGE, objects.NEXT_IMAGE):
        manifest = objects.workload("Deployment", namespace, image=image)
        live = await story.cluster.read(target)
        if live is None:
            await story.cluster.create(manifest, is_dry_run=False)
        else:
            live["spec"]["template"]["spec"]["containers"][0]["image"] = image
            await story.cluster.replace(live, is_dry_run=False)
        await waiting.ready_workload(story.cluster, target)
    await story.cluster.create(objects.config_map(namespace, color="red"), is_dry_run=False)
    return target


def planner_of(story, records):
    return Planner(
        store=records,
        cluster=story.cluster,
        grants=ReadyMade(story.cluster),
        previewer=Previewer(story.cluster),
        agents=ScriptedAgent(),
        judge=judge,
        profiles={},
        prompt=str,
        workspaces=story.folder,
        clock=lambda: NOW,
    )


def runner_of(story, records):
    return PlanRunner(
        store=records,
        cluster=story.cluster,
        grants=ReadyMade(story.cluster),
        previewer=Previewer(story.cluster),
        judge=judge,
        verifier=Verifier(story.cluster, limit_seconds=30),
        replanner=Replanner(
            planner=planner_of(story, records),
            further={},
            reporting=lambda action: AgentProfile(action, "model", (), "report"),
            asking=None,
        ),
        workspaces=story.folder,
        clock=lambda: NOW,
    )


def resolution_of(story):
    request = replace(examples.request(ActionType.CONFIG_FIX), namespace=story.namespace)
    return examples.resolution(request=request, approval_id="a-1")


async def approved(story, records, *lines):
    planner, resolution = planner_of(story, records), resolution_of(story)
    found = [
        await planner.line_again(ProposedStep(one, Check.HEALTHY, "It is put back."), resolution=resolution)
        for one in lines
    ]
    return examples.permit(namespace=story.namespace, lines=tuple(found), rules=())


async def run(story, records, permit):
    return await runner_of(story, records).run(resolution_of(story), permit=permit, context=IncidentContext())


@pytest.mark.parametrize(
    "line",
    [
        "kubectl scale deployment/web --replicas=3",
        f"kubectl set image deployment/web web={objects.GOOD_IMAGE}",
        "kubectl rollout undo deployment/web",
        "kubectl rollout undo deployment/web --to-revision=1",
        "kubectl rollout restart deployment/web",
        "kubectl set env deployment/web COLOR=blue",
        "kubectl set resources deployment/web --limits=memory=64Mi",
        """kubectl patch configmap settings -p '{"data":{"color":"blue","size":"9"}}'""",
        "kubectl annotate deployment/web note=tried",
        "kubectl label configmap settings tier=front",
        "kubectl delete configmap settings",
        "kubectl autoscale deployment/web --min=2 --max=4 --cpu=80%",
    ],
)
async def test_what_is_shown_beforehand_is_what_happens(story, web, line):
    judged = judge(line, story.namespace)
    shown = (await Previewer(story.cluster).preview(judged, folder=story.folder, namespace=story.namespace)).diff
    targets = await story.cluster.resolve(judged)
    touched = [one for one in targets if one.kind != "Deployment" or "autoscale" not in line]
    before = {one: await story.cluster.read(one) for one in touched}

    done = await story.cluster.run(judged.stages, folder=story.folder, seconds=60, namespace=story.namespace)

    assert done.exit_code == 0, done.output
    after = {one: await story.cluster.read(one) for one in touched}
    happened = [diffs.diff(one, before[one], _as_written(after[one], before[one])) for one in touched]
    assert diffs.joined(happened) == shown


def _as_written(after, before):
    """Without the revision, which the controller counts on in its own time, and the moment of a restart."""
    if after is None or before is None:
        return after
    after = copy.deepcopy(after)
    pods = ((after.get("spec") or {}).get("template") or {}).get("metadata", {}).get("annotations") or {}
    if diffs.RESTARTED in pods:
        pods[diffs.RESTARTED] = diffs.RUN_TIME
    notes = dict(after["metadata"].get("annotations") or {})
    name = "deployment.kubernetes.io/revision"
    earlier = (before["metadata"].get("annotations") or {}).get(name)
    notes = {key: one for key, one in notes.items() if key != name} | ({name: earlier} if earlier else {})
    return {**after, "metadata": {**after["metadata"], "annotations": notes}}


async def test_showing_a_change_makes_none(story, web):
    before = await story.cluster.read(web)

    for line in ("kubectl scale deployment/web --replicas=3", "kubectl rollout undo deployment/web"):
        judged = judge(line, story.namespace)
        await Previewer(story.cluster).preview(judged, folder=story.folder, namespace=story.namespace)

    after = await story.cluster.read(web)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kubectl scale deployment/web --replicas=2", "would change nothing"),
        ("kubectl scale deployment/web --replicas=3 --current-replicas=9", "refuses it in a dry run"),
        ("kubectl rollout undo deployment/web --to-revision=77", "no such earlier revision"),
        ("kubectl label configmap settings tier=../x", "refuses it in a dry run"),
    ],
)
async def test_what_the_api_server_would_not_do_is_no_plan(story, web, line, words):
    with pytest.raises(StepFailedError, match=words):
        await approved(story, MemoryRecords(), line)


async def test_a_plan_of_two_steps_is_run_to_its_end(story, web):
    records = MemoryRecords()
    lines = ("kubectl rollout undo deployment/web", "kubectl scale deployment/web --replicas=3")
    permit = await approved(story, records, *lines)

    outcome = await run(story, records, permit)

    assert outcome.is_success, outcome.output
    live = await story.cluster.read(web)
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == objects.GOOD_IMAGE
    assert live["spec"]["replicas"] == 3
    assert [(one.target.name, one.is_after_read) for one in records.entries.values()] == [("web", True)] * 2


async def _another_image(story, web):
    live = await story.cluster.read(web)
    live["spec"]["template"]["spec"]["containers"][0]["image"] = objects.CRASHING_IMAGE
    await story.cluster.replace(live, is_dry_run=False)


async def _another_object(story, web):
    live = await story.cluster.read(web)
    await story.cluster.delete(replace(web, uid=live["metadata"]["uid"]), is_dry_run=False)
    await waiting.eventually(partial(story.cluster.read, web), lambda one: one is None)
    manifest = objects.workload("Deployment", story.namespace, image=objects.NEXT_IMAGE)
    await story.cluster.create(manifest, is_dry_run=False)


@pytest.mark.parametrize(
    ("moved", "words"),
    [(_another_image, "spec.template of Deployment"), (_another_object, "another object now")],
)
async def test_what_moved_between_approval_and_run_stops_the_plan(story, web, moved, words):
    records = MemoryRecords()
    permit = await approved(story, records, "kubectl rollout undo deployment/web")
    await moved(story, web)
    before = await story.cluster.read(web)

    outcome = await run(story, records, permit)

    assert not outcome.is_success
    assert words in outcome.output
    assert (records.commands, records.entries) == ({}, {})
    after = await story.cluster.read(web)
    assert after["spec"] == before["spec"]


async def test_pods_that_came_since_are_not_deleted_by_a_selector(story, web):
    records = MemoryRecords()
    permit = await approved(story, records, "kubectl delete pods -l app=web")
    extra = objects.pod(story.namespace, "extra")
    extra["metadata"]["labels"] = {"app": "web"}
    await story.cluster.create(extra, is_dry_run=False)

    outcome = await run(story, records, permit)

    assert "too now" in outcome.output
    assert records.entries == {}
