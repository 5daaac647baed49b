"""A preview asks the API server and changes nothing."""

from pathlib import Path

import pytest

from core.commands.gate import judge
from core.errors import ResolverError, StepFailedError
from core.previews import Previewer
from core.risk_levels import RiskLevel
from core.snapshot import Touched
from tests.fakes.cluster import FakeCluster
from tests.unit.core.benches import manifest
from tests.unit.core.examples import WEB, WEB_1
from tests.unit.core.test_revisions import owned

HERE = Path("/nowhere")


def cluster():
    web = manifest(WEB, replicas=2, template={"spec": {"containers": [{"name": "app", "image": "a:3"}]}})
    pod = manifest(WEB_1)
    pod["metadata"]["ownerReferences"] = [{"uid": "rs", "controller": True}]
    return FakeCluster({WEB: web, WEB_1: pod})


async def preview(line, at):
    return await Previewer(at).preview(judge(line, "shop"), folder=HERE, namespace="shop")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("kubectl scale deploy/web --replicas=4", "spec.replicas: 2 → 4"),
        ("kubectl set image deploy/web app=a:2", '.image: "a:3" → "a:2"'),
        ("kubectl rollout restart deploy/web", "(the time it runs)"),
        ("kubectl delete pod web-1", "Pod shop/web-1\n  is deleted"),
    ],
)
async def test_each_change_is_shown_and_none_is_made(line, shown):
    at = cluster()
    before = {one: dict(live) for one, live in at.objects.items()}

    assert shown in (await preview(line, at)).diff
    assert at.objects == before
    assert at.ran == []


async def test_a_workload_that_was_restarted_before_can_be_restarted_again():
    at = cluster()
    template = at.objects[WEB]["spec"]["template"]
    template["metadata"] = {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-02-01T00:00:00Z"}}

    found = await preview("kubectl rollout restart deploy/web", at)

    assert '"2026-02-01T00:00:00Z" → (the time it runs)' in found.diff


async def test_an_undo_shows_the_template_of_the_revision_before():
    at = cluster()
    for number, image in ((1, "a:2"), (2, "a:3")):
        one = owned("ReplicaSet", number, image)
        one["metadata"]["namespace"] = "shop"
        at.objects[WEB.__class__("ReplicaSet", f"web-{number}", "shop")] = one

    assert 'spec.template.spec.image: + "a:2"' in (await preview("kubectl rollout undo deploy/web", at)).diff


async def test_an_undo_without_an_earlier_revision_is_refused():
    with pytest.raises(StepFailedError, match="no such earlier revision"):
        await preview("kubectl rollout undo deploy/web", cluster())


async def test_a_line_that_would_change_nothing_is_refused():
    with pytest.raises(StepFailedError, match="would change nothing"):
        await preview("kubectl scale deploy/web --replicas=2", cluster())


async def test_a_refused_dry_run_is_the_reason():
    at = cluster()
    at.dry_run_error = StepFailedError("The API server refuses it in a dry run: quota exceeded")

    with pytest.raises(ResolverError, match="quota exceeded"):
        await preview("kubectl scale deploy/web --replicas=4", at)


async def test_a_line_beyond_the_five_changes_is_shown_by_its_dry_run():
    at, line = cluster(), "kubectl annotate deploy/web note=x"
    after = manifest(WEB, replicas=2)
    after["metadata"]["annotations"] = {"note": "x"}
    at.touches[line] = (Touched(WEB, manifest(WEB, replicas=2), after),)

    assert 'metadata.annotations.note: + "x"' in (await preview(line, at)).diff


async def test_what_undo_cannot_bring_back_is_told_and_raises_the_level():
    at = cluster()
    del at.objects[WEB_1]["metadata"]["ownerReferences"]

    found = await preview("kubectl delete pod web-1", at)

    assert found.losses
    assert found.least_risk > RiskLevel.LOW
