"""Volumes of the tests: the cluster has no provisioner, so each is made beforehand and bound by the real controller.

No kubelet opens them, so the mark of the data is the volume's own identity: the same volume holds the same data.
"""

from typing import Any

from core.resources import Resource
from tests.cluster import waiting
from tests.cluster.story import Story


def storage_class(story: Story) -> str:
    """One of the test's own, so that no other test's claim takes its volumes."""
    return f"by-hand-{story.namespace}"


async def make_volumes(story: Story, count: int, *, reclaim: str = "Retain") -> None:
    for number in range(count):
        await story.cluster.create(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"{story.namespace}-{number}"},
                "spec": {
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "hostPath": {"path": f"/nowhere/{story.namespace}-{number}"},
                    "persistentVolumeReclaimPolicy": reclaim,
                    "storageClassName": storage_class(story),
                },
            },
            is_dry_run=False,
        )


def claim_spec(story: Story, *, size: str = "1Gi") -> dict[str, Any]:
    return {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class(story),
        "resources": {"requests": {"storage": size}},
    }


async def make_claim(story: Story, name: str = "data") -> Resource:
    """Bound to one of the test's volumes."""
    metadata = {"name": name, "namespace": story.namespace}
    manifest = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim_spec(story)}
    target = await story.start(manifest)
    await bound(story, target)
    return target


async def bound(story: Story, claim: Resource) -> str:
    """The name of the volume that the claim is bound to."""
    live = await waiting.eventually(
        lambda: story.live(claim), lambda one: one.get("status", {}).get("phase") == "Bound", seconds=40
    )
    return str(live["spec"]["volumeName"])


async def volumes_of(story: Story) -> dict[str, str]:
    """Each claim of the namespace with its volume."""
    claims = await story.cluster.listed("PersistentVolumeClaim", story.namespace)
    return {one["metadata"]["name"]: one["spec"].get("volumeName", "") for one in claims}
