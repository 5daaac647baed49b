"""RB-50 and RB-51 on a real API server with the real helm, from a chart of its own."""

import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from core.cluster.client import open_cluster
from core.cluster.runner import kubectl_path
from core.commands.gate import judge
from core.helm_releases import Release, release_of
from core.rollback import RollbackManager
from core.undo_rules import meaning
from tests.cluster import objects
from tests.cluster.rollback import acts
from tests.cluster.story import Story
from tests.cluster.test_questions import PROGRAMS, Asked
from tests.fakes.permits import rollback_permit
from tests.fakes.records import NOW
from tests.servers.helm.programs import find_or_build
from tests.servers.kubernetes.server import ClusterServer, RefusedError
from tests.servers.parts import require

CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-settings"}
data: {colour: "{{ .Values.colour }}"}
"""
HOOK = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: "{{ .Release.Name }}-hook"
  annotations: {"helm.sh/hook": "pre-upgrade"}
data: {ran: "for {{ .Values.colour }}"}
"""


@dataclass(frozen=True, slots=True)
class Helm:
    """helm as somebody at a terminal runs it."""

    program: Path
    server: ClusterServer
    namespace: str
    home: Path

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.program), *arguments, "-n", self.namespace],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"HOME": str(self.home), "KUBECONFIG": str(self.server.kubeconfig), "PATH": "/usr/bin:/bin"},
        )
        if done.returncode:
            raise RefusedError(done.returncode, done.stdout + done.stderr)
        return done.stdout


@pytest.fixture
def helm(cluster_server: ClusterServer, namespace: str, tmp_path: Path) -> Helm:
    return Helm(require(find_or_build), cluster_server, namespace, tmp_path)


@pytest.fixture
async def shop(story: Story, helm: Helm) -> AsyncIterator[Story]:
    """A story whose cluster may use helm, with the release `shop` installed in red."""
    chart = story.folder / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "shop", "version": "1.0.0"}))
    (chart / "values.yaml").write_text(yaml.safe_dump({"colour": "grey"}))
    (chart / "templates" / "settings.yaml").write_text(CONFIG)
    (chart / "templates" / "hook.yaml").write_text(HOOK)
    deployment = objects.workload("Deployment", helm.namespace)
    (chart / "templates" / "web.yaml").write_text(yaml.safe_dump(deployment))
    helm("install", "shop", str(chart), "--set", "colour=red")
    async with open_cluster(helm.server.kubeconfig, kubectl=kubectl_path(None), helm=helm.program) as cluster:
        yield replace(story, cluster=cluster)


async def releases(story: Story) -> list[Release]:
    found = [release_of(one) for one in await story.cluster.listed("Secret", story.namespace)]
    return sorted((one for one in found if one is not None), key=lambda one: one.revision)


async def run(story: Story, helm: Helm, *arguments: str) -> list[dict]:
    """helm at work, with a snapshot of the release and its objects around it."""
    befores = [dict(one.before or {}) for one in await acts.touched(story, "helm", *arguments)]
    helm(*arguments)
    for before in befores:
        await acts.note(story, acts.resource_of(before), before)
    return befores


async def test_rb_50_an_upgraded_release_is_rolled_back_by_helm_to_equal_values_and_its_hooks_are_told(
    shop: Story, helm: Helm
):
    befores = await run(shop, helm, "upgrade", "shop", str(shop.folder / "chart"), "--set", "colour=blue")

    report = await shop.undo()

    assert report.is_success, report.errors
    first, *others = report.steps
    assert "was rolled back to revision 1, as a new revision." in first.sentence
    assert "What its hooks did cannot be undone: shop-hook (pre-upgrade)." in first.sentence
    assert first.command == f"helm rollback shop 1 -n {shop.namespace}"
    assert [one.status for one in others] == ["skipped"] * len(others)
    installed, *_, newest = await releases(shop)
    assert (newest.revision, newest.status, newest.values) == (3, "deployed", installed.values)
    for before in befores:
        if before["kind"] != "Secret":
            assert meaning(await shop.live(acts.resource_of(before))) == meaning(before)


async def test_rb_50_a_release_that_somebody_upgraded_since_is_left(shop: Story, helm: Helm):
    await run(shop, helm, "upgrade", "shop", str(shop.folder / "chart"), "--set", "colour=blue")
    helm("upgrade", "shop", str(shop.folder / "chart"), "--set", "colour=green")

    report = await shop.undo()

    assert report.steps[0].status == "conflict"
    assert "it is at revision 3; it is left" in report.steps[0].sentence
    (*_, newest) = await releases(shop)
    assert newest.values == {"colour": "green"}


async def test_rb_51_an_uninstalled_release_has_its_secrets_and_objects_again_and_helm_knows_it(
    shop: Story, helm: Helm
):
    befores = await run(shop, helm, "uninstall", "shop", "--wait")
    with pytest.raises(RefusedError):
        helm("status", "shop")

    report = await shop.undo()

    assert report.is_success, report.errors
    assert "STATUS: deployed" in helm("status", "shop")
    for before in befores:
        assert meaning(await shop.live(acts.resource_of(before))) == meaning(before)
    helm("upgrade", "shop", str(shop.folder / "chart"), "--set", "colour=blue")


# --- asked about mid-run --------------------------------------------------------------------------------------------


async def test_a_rollback_by_helm_is_asked_about_with_every_object_and_can_be_put_back(shop: Story, helm: Helm):
    helm("upgrade", "shop", str(shop.folder / "chart"), "--set", "colour=blue")
    asked = Asked(shop.cluster, shop.namespace, shop.folder)

    answer = await asked.bash("helm rollback shop 1")

    assert not answer.is_error, answer.text
    (line,) = asked.seen
    named = {(one.kind, one.name) for one in line.targets}
    secrets = {("Secret", f"sh.helm.release.v1.shop.v{number}") for number in (1, 2)}
    assert named == {("Deployment", "web"), ("ConfigMap", "shop-settings"), *secrets}
    assert all(one.uid for one in line.targets)
    assert (await releases(shop))[-1].values == {"colour": "red"}
    report = await RollbackManager(shop.cluster, asked.records.update_snapshot_entries, lambda: NOW).rollback(
        asked.snapshot, permit=rollback_permit(asked.snapshot)
    )
    assert report.is_success, report.errors
    assert (await releases(shop))[-1].values == {"colour": "blue"}


async def test_an_object_that_an_earlier_revision_would_make_is_named_as_new(shop: Story, helm: Helm):
    (shop.folder / "chart" / "templates" / "settings.yaml").unlink()
    helm("upgrade", "shop", str(shop.folder / "chart"))

    found = await shop.cluster.resolve(judge("helm rollback shop", shop.namespace, programs=PROGRAMS))

    assert [(one.name, one.uid) for one in found if one.kind == "ConfigMap"] == [("shop-settings", None)]


async def test_a_release_that_was_upgraded_while_it_was_asked_about_is_asked_again(shop: Story, helm: Helm):
    asked = Asked(shop.cluster, shop.namespace, shop.folder)

    async def upgrade():
        helm("upgrade", "shop", str(shop.folder / "chart"), "--set", "colour=blue")

    answer = await asked.bash("helm uninstall shop", meanwhile=[upgrade])

    assert not answer.is_error, answer.text
    assert len(asked.seen) == 2
    assert await releases(shop) == []


async def test_a_revision_that_is_not_there_is_not_asked_about(shop: Story):
    asked = Asked(shop.cluster, shop.namespace, shop.folder)

    answer = await asked.bash("helm rollback shop 7")

    assert asked.seen == []
    assert "has no revision 7" in answer.text
