"""The simulator as its user meets it: the real kubectl, own workloads, and what it says it cannot do."""

import asyncio
import json
import subprocess

import pytest

from bot.demo.cluster.controllers import is_there
from bot.demo.cluster.server import open_simulator
from core.cluster.runner import kubectl_path


@pytest.fixture
async def kubectl(tmp_path):
    async with open_simulator(scenarios=()) as simulator:
        file = simulator.write_kubeconfig(tmp_path / "kubeconfig")
        line = [str(kubectl_path(None)), "--kubeconfig", str(file), "--cache-dir", str(tmp_path / "cache")]

        async def run(*arguments: str, given: object = None) -> tuple[int, str]:
            done = await asyncio.to_thread(
                subprocess.run,
                [*line, *arguments],
                input=json.dumps(given),
                capture_output=True,
                text=True,
                check=False,
            )
            return done.returncode, done.stdout + done.stderr

        yield run


def deployment(image: str) -> dict[str, object]:
    labels = {"app": "till"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "till", "image": image}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "till", "namespace": "market"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


async def test_kubectl_applies_files_without_being_told_to_leave_out_validation(kubectl):
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "market"}}
    assert await kubectl("apply", "-f", "-", given=namespace) == (0, "namespace/market created\n")
    assert await kubectl("create", "-f", "-", given=deployment("till:1.0.0")) == (0, "deployment.apps/till created\n")
    code, _ = await kubectl("rollout", "status", "deployment/till", "-n", "market", "--timeout=20s")
    assert code == 0
    code, told = await kubectl("apply", "-f", "-", given=deployment("till:1.0.O"))
    assert code == 0, told
    while "ImagePullBackOff" not in (await kubectl("get", "pods", "-n", "market"))[1]:
        await asyncio.sleep(0.1)


async def test_what_it_cannot_read_is_told_with_what_it_can(kubectl):
    code, told = await kubectl("create", "namespace", "market")
    assert code == 1
    assert "kubectl apply -f FILE" in told


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ("nginx", True),
        ("nginx:latest", True),
        ("nginx:1.27", True),
        ("nginx:1.27.2-alpine", True),
        ("localhost:5000/team/app:v2", True),
        ("app@sha256:0123", True),
        ("registry.example/web/storefront:1.4.O", False),
        ("nginx:does-not-exist", False),
        ("nginx:broken-tag", False),
        ("nginx:9.9.9-nope", False),
        ("nginx:hello", False),
    ],
)
def test_an_image_is_there_if_its_tag_looks_like_a_release(image, wanted):
    assert is_there(image) is wanted


async def test_no_workload_of_an_incident_is_younger_than_its_pods():
    async with open_simulator() as simulator:
        objects = simulator.objects
        made = {
            one["metadata"]["name"]: one["metadata"]["creationTimestamp"]
            for kind in ("Deployment", "StatefulSet")
            for one in objects.of(kind)
        }
        pods = list(objects.of("Pod"))

    younger = [
        pod["metadata"]["name"]
        for pod in pods
        if made[pod["metadata"]["labels"]["app"]] > pod["metadata"]["creationTimestamp"]
    ]
    assert len(pods) > 10
    assert younger == []
