"""What a line would touch and lose, found before it runs, on a real API server (RB-11, 27, 30, 31, 47, 49, 52, 54)."""

import json
from pathlib import Path

import pytest

from core.cluster.client import open_cluster
from core.cluster.runner import kubectl_path
from core.commands.gate import judge
from core.effects import Change
from core.errors import NotAllowedError, ResolverError, StepFailedError
from core.foresight import Foresight, foresee
from core.resources import Resource
from core.rollback import RollbackManager
from core.snapshot import SnapshotEntry
from core.undo_rules import meaning
from storage.store import PostgresStorage
from tests.cluster import objects, waiting
from tests.cluster.rollback import acts, executions, volumes
from tests.cluster.story import Story
from tests.fakes.permits import rollback_permit

SCALED = json.dumps({"spec": {"replicas": 3}})


async def foreseen(story: Story, line: str) -> Foresight:
    """By the gate's own verdict on the line."""
    judged = judge(line, story.namespace, files=lambda name: (story.folder / name).read_bytes())
    assert judged.risk is not None, judged.reason
    return await foresee(story.cluster, judged, folder=story.folder, namespace=story.namespace)


def names(foresight: Foresight) -> list[str]:
    return [f"{one.target.kind}/{one.target.name}" for one in foresight.touched]


async def test_rb_11_deleting_a_stateful_set_with_its_volumes_is_refused_by_its_line(story: Story):
    db = objects.workload("StatefulSet", story.namespace)
    db["spec"]["persistentVolumeClaimRetentionPolicy"] = {"whenDeleted": "Delete"}
    await story.start(db)

    assert "whenDeleted: Delete" in str((await foreseen(story, "kubectl delete statefulset web")).refusal)


async def test_rb_27_deleting_a_claim_with_its_data_is_refused_by_its_line(story: Story):
    await volumes.make_volumes(story, 1, reclaim="Delete")
    await volumes.make_claim(story)

    refusal = (await foreseen(story, "kubectl delete pvc data")).refusal

    assert "The data of PersistentVolumeClaim data will be lost" in str(refusal)


async def test_rb_30_growing_a_claim_is_refused_by_its_line(story: Story):
    storage = {"name": volumes.storage_class(story)}
    expandable = {"provisioner": "test.example/by-hand", "allowVolumeExpansion": True, "metadata": storage}
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}
    await story.cluster.create(kind | expandable, is_dry_run=False)
    await volumes.make_volumes(story, 1)
    target = await volumes.make_claim(story)
    await volumes.bound(story, target)
    grown = json.dumps({"spec": {"resources": {"requests": {"storage": "2Gi"}}}})

    refusal = (await foreseen(story, f"kubectl patch pvc data -p '{grown}'")).refusal

    assert "never shrink again" in str(refusal)
    assert (await story.live(target))["spec"]["resources"]["requests"]["storage"] != "2Gi"


async def test_rb_31_deleting_a_namespace_is_refused_and_all_that_is_in_it_was_found(story: Story):
    await story.start(objects.config_map(story.namespace, colour="red"))
    await story.start(objects.secret(story.namespace, password="x"))

    foresight = await foreseen(story, f"kubectl delete namespace {story.namespace}")

    assert "deletes all that is in it" in str(foresight.refusal)
    assert {"ConfigMap/settings", "Secret/keys"} < set(names(foresight))
    assert names(foresight)[-1] == f"Namespace/{story.namespace}"


@pytest.mark.parametrize(
    ("line", "kind", "name"),
    [
        ("kubectl set serviceaccount deployment web builder", "Deployment", "web"),
        ("kubectl set env deployment/web A=b", "Deployment", "web"),
        ("kubectl set resources deployment web --limits=cpu=1", "Deployment", "web"),
        (f"kubectl patch deployment web --subresource=scale -p '{SCALED}' --type=merge", "Deployment", "web"),
        ("kubectl rollout pause deployment/web", "Deployment", "web"),
        ("kubectl annotate configmap settings why=test", "ConfigMap", "settings"),
        ("kubectl label configmap --all tier=b", "ConfigMap", "settings"),
        ("kubectl apply -f new.json", "ConfigMap", "settings"),
        ("kubectl apply --server-side --force-conflicts -f new.json", "ConfigMap", "settings"),
        ("kubectl replace -f new.json", "ConfigMap", "settings"),
        ("kubectl create configmap made --from-literal=a=b", "ConfigMap", "made"),
        ("kubectl expose deployment web --port=80", "Service", "web"),
        ("kubectl autoscale deployment web --max=5", "HorizontalPodAutoscaler", "web"),
        ("kubectl create job once --image=nginx:1", "Job", "once"),
    ],
)  # fmt: skip
async def test_the_dry_run_proposes_what_the_line_then_does_and_stores_nothing(
    line: str, kind: str, name: str, story: Story
):
    await story.start(objects.workload("Deployment", story.namespace))
    await story.start(objects.config_map(story.namespace, colour="red"))
    acts.write(story, "new.json", objects.config_map(story.namespace, colour="blue"))

    foresight = await foreseen(story, line)

    (found,) = [one for one in foresight.touched if (one.target.kind, one.target.name) == (kind, name)]
    live = await story.cluster.read(found.target)
    assert (None if live is None else meaning(live)) == (None if found.before is None else meaning(found.before))
    judged = judge(line, story.namespace, files=lambda one: (story.folder / one).read_bytes())
    done = await story.cluster.run(judged.stages, folder=story.folder, seconds=30, namespace=story.namespace)
    assert done.exit_code == 0, done.output
    assert found.proposed is not None
    now = await story.live(found.target)
    changed = {key for key in now if found.before is None or meaning(now).get(key) != meaning(found.before).get(key)}
    assert changed
    for key in changed & {"spec", "data", "metadata"}:
        assert comparable(now, key) == comparable(found.proposed, key), line


def comparable(manifest, key: str):
    """Without what each creation makes up anew."""
    plain = meaning(manifest)
    text = json.dumps(plain.get(key), sort_keys=True)
    for made_up in (manifest["metadata"].get("uid"), *(manifest.get("spec") or {}).get("clusterIPs", [])):
        text = text.replace(str(made_up), "*")
    return text


async def test_what_an_object_owns_is_found_also_through_what_it_owns(story: Story):
    top = await story.start(objects.config_map(story.namespace, "top", a="1"))
    owned = objects.config_map(story.namespace, "owned", a="1")
    owned["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "top", "uid": top.uid, "controller": False}
    ]
    middle = await story.start(owned)
    below = objects.secret(story.namespace, password="x")
    below["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "owned", "uid": middle.uid, "controller": False}
    ]
    await story.start(below)

    foresight = await foreseen(story, "kubectl delete configmap top")

    assert sorted(names(foresight)[:-1]) == ["ConfigMap/owned", "Secret/keys"]
    assert names(foresight)[-1] == "ConfigMap/top"
    assert all(one.is_deleted for one in foresight.touched)


async def test_rb_54_a_kind_that_may_not_be_listed_blocks_a_deletion_that_may_take_it_along(story: Story):
    await story.start(objects.config_map(story.namespace, colour="red"))
    may = {"verbs": ["get", "list", "delete"], "resources": ["configmaps"]}
    objects.service_account_that_may(story.server, story.namespace, "narrow", **may)
    kubeconfig = story.server.token_kubeconfig(story.namespace, "narrow")
    judged = judge("kubectl delete configmap settings", story.namespace)

    async with open_cluster(kubeconfig, kubectl=kubectl_path(None)) as narrow:
        with pytest.raises(NotAllowedError, match="refuses to list"):
            await foresee(narrow, judged, folder=story.folder, namespace=story.namespace)


async def test_rb_47_a_line_whose_second_half_would_fail_is_refused_whole_by_its_dry_run(story: Story):
    await story.start(objects.config_map(story.namespace, "two", a="1") | {"immutable": True})
    acts.write(story, "one.json", objects.config_map(story.namespace, "one", a="2"))
    acts.write(story, "two.json", objects.config_map(story.namespace, "two", a="2"))

    with pytest.raises(StepFailedError, match="refuses it in a dry run"):
        await foreseen(story, "kubectl apply -f one.json -f two.json")

    assert await story.cluster.read(Resource("ConfigMap", "one", story.namespace, "v1")) is None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("kubectl apply --prune -l a=b -f new.json", "--prune"),
        ("kubectl debug web --image=busybox", "cannot be found beforehand"),
        ("kubectl create -f generated.json", "makes up"),
        ("kubectl delete configmap nothing", "names no object that exists"),
        ("kubectl patch configmap nothing -p '{}'", "refuses it in a dry run"),
    ],
)
async def test_what_cannot_be_found_is_an_error(line: str, told: str, story: Story):
    acts.write(story, "new.json", objects.config_map(story.namespace, colour="blue"))
    generated = objects.config_map(story.namespace, colour="blue")
    generated["metadata"] = {"generateName": "made-", "namespace": story.namespace}
    acts.write(story, "generated.json", generated)

    with pytest.raises(ResolverError, match=told):
        await foreseen(story, line)


async def test_a_refused_dry_run_of_a_secret_quotes_nothing_of_it(story: Story):
    await story.start(objects.secret(story.namespace, password="hunter2"))

    with pytest.raises(StepFailedError, match="may quote a Secret") as refused:
        await foreseen(story, 'kubectl patch secret keys --type=json -p \'[{"op":"remove","path":"/data/x"}]\'')

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("who", "mark"),
    [
        ("Argo CD", {"argocd.argoproj.io/instance": "shop"}),
        ("Flux", {"kustomize.toolkit.fluxcd.io/name": "shop"}),
        ("Helm", {"app.kubernetes.io/managed-by": "Helm"}),
    ],
)
async def test_rb_49_who_manages_an_object_is_told_before_it_is_changed(who: str, mark: dict[str, str], story: Story):
    manifest = objects.config_map(story.namespace, colour="red")
    manifest["metadata"]["labels"] = mark
    await story.start(manifest)

    foresight = await foreseen(story, "kubectl label configmap settings tier=b")

    assert f"is managed by {who}" in " ".join(loss.sentence for loss in foresight.losses)


async def test_a_line_of_any_kind_is_stored_run_and_undone_by_the_one_place_that_executes(
    story: Story, store: PostgresStorage
):
    """As a line that people approved word by word runs."""
    settings = await story.start(objects.config_map(story.namespace, colour="red"))
    running = await executions.executing(store, story.namespace)
    tools = executions.toolbox(running, settings, store=store, cluster=story.cluster, folder=Path(story.folder))
    for line in ("kubectl label configmap settings tier=b", "kubectl create configmap made --from-literal=a=b"):
        answer = await tools._change_cluster(judge(line, story.namespace))
        assert not answer.is_error, answer.text
    overview = await store.overview(running.id)
    assert overview is not None
    assert overview.changes == 2
    snapshot = await store.snapshot(overview.resolution.snapshot_id)
    assert snapshot is not None

    manager = RollbackManager(story.cluster, store.update_snapshot_entries, executions.clock)
    report = await manager.rollback(snapshot, permit=rollback_permit(snapshot))

    assert report.is_success, report.errors
    assert await story.cluster.read(Resource("ConfigMap", "made", story.namespace, "v1")) is None
    assert "labels" not in (await story.live(settings))["metadata"]


async def unread(story: Story, line: str) -> None:
    """The line is run, and the service dies before it reads anything back."""
    foresight = await foreseen(story, line)
    judged = judge(line, story.namespace)
    done = await story.cluster.run(judged.stages, folder=story.folder, seconds=30, namespace=story.namespace)
    assert done.exit_code == 0, done.output
    for one in foresight.touched:
        change = Change.DELETE if one.is_deleted else Change.WRITE
        story.entries.append(SnapshotEntry(len(story.entries) + 1, one.target, change, one.before, one.proposed))


async def test_rb_52_a_change_nobody_read_back_is_undone_by_what_was_proposed_and_others_work_stays(story: Story):
    target = await story.start(objects.config_map(story.namespace, colour="red", size="1"))
    change = json.dumps({"data": {"colour": "blue"}})
    await unread(story, f"kubectl patch configmap settings -p '{change}'")
    await unread(story, "kubectl create configmap made --from-literal=a=b")
    story.somebody("patch", "configmap", "settings", "-p", '{"data":{"size":"2"}}')

    report = await story.undo()

    assert report.is_success, report.errors
    assert (await story.live(target))["data"] == {"colour": "red", "size": "2"}
    assert await story.cluster.read(Resource("ConfigMap", "made", story.namespace, "v1")) is None


async def test_rb_52_what_was_made_and_changed_by_somebody_before_anybody_read_it_back_is_left(story: Story):
    await unread(story, "kubectl create configmap made --from-literal=a=b")
    story.somebody("patch", "configmap", "made", "-p", '{"data":{"theirs":"2"}}')

    undone = await acts.step(story)

    assert undone.status == "conflict"
    assert await story.cluster.read(Resource("ConfigMap", "made", story.namespace, "v1")) is not None


async def test_rb_42_a_namespace_that_was_made_and_is_used_by_somebody_is_not_removed(story: Story):
    name = f"{story.namespace}-made"
    target = Resource("Namespace", name, None, "v1")
    await acts.act(story, target, line=("create", "namespace", name))
    story.server.kubectl("-n", name, "create", "configmap", "theirs")

    undone = await acts.step(story)
    assert undone.status == "conflict"
    assert "holds 1 object(s) that somebody made since" in undone.sentence

    story.server.kubectl("-n", name, "delete", "configmap", "theirs")
    assert (await acts.step(story)).status == "success"
    await waiting.eventually(lambda: story.cluster.read(target), lambda seen: seen is None)
