"""Puts the demo's incidents into the simulator."""

import uuid
from datetime import datetime, timedelta

from bot.demo.cluster import controllers
from bot.demo.cluster.objects import Object, Objects
from bot.demo.cluster.scenarios import CONTRACT, SCENARIOS, Scenario, deployment_of


def install(objects: Objects, scenario: Scenario, *, now: datetime) -> None:
    """Puts the scenario's namespace into its broken state, whatever it was before."""
    objects.clear(scenario.namespace)
    objects.put(_namespace(scenario.namespace))
    later = now + timedelta(seconds=10)
    if scenario.before is not None:
        objects.put(deployment_of(scenario, image=scenario.before))
        controllers.tick(objects, later)
    objects.put(deployment_of(scenario, image=scenario.image))
    controllers.tick(objects, later)
    pods = [
        one for one in objects.of("Pod", scenario.namespace) if one["metadata"]["labels"]["app"] == scenario.workload
    ]
    for pod in pods[: scenario.corrupt]:
        pod["metadata"].setdefault("annotations", {})["simulator/corrupt"] = "true"
    if scenario.name == "investigation":
        _slow_database(objects, scenario.namespace, now=now)
    _age(objects, scenario.namespace, now=now)
    controllers.tick(objects, later)
    controllers.tick(objects, later)


def _age(objects: Objects, namespace: str, *, now: datetime) -> None:
    """A workload is as old as its pods, or older: they run since their last rollout."""
    for minutes, kinds in ((9, ("Pod",)), (90, ("Deployment", "StatefulSet"))):
        made = (now - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
        for one in (one for kind in kinds for one in objects.of(kind, namespace)):
            one["metadata"]["creationTimestamp"] = made


def _slow_database(objects: Objects, namespace: str, *, now: datetime) -> None:
    database = deployment_of(
        Scenario("", "", "", namespace, "payments-db", "", "", "postgres:17.2", replicas=1, log="checkpoint took 48 s"),
        image="postgres:17.2",
    )
    database["kind"] = "StatefulSet"
    database["spec"]["serviceName"] = "payments-db"
    stored = objects.put(database)
    controllers.tick(objects, now + timedelta(seconds=10))
    message = "volume payments-db-data: write latency 2.1 s, disk nearly full (97 %)"
    controllers.record_event(objects, stored, reason="SlowVolume", message=message)


def install_all(objects: Objects, *, now: datetime) -> None:
    objects.put(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": str(uuid.uuid4())}}
    )
    ready = [{"type": "Ready", "status": "True"}]
    objects.put(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "node-a"},
            "spec": {},
            "status": {"conditions": ready},
        }
    )
    for scenario in (*SCENARIOS, CONTRACT):
        install(objects, scenario, now=now)


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "status": {"phase": "Active"}}
