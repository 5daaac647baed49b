"""`make demo-cluster`: the demo against a real Kubernetes API server with its controllers, built for the tests."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from bot.cli.demo import demo_page, show
from bot.demo.cluster.scenarios import CONTRACT, SCENARIOS, Scenario, deployment_of
from bot.demo.play import Wanted
from core.errors import ResolverError
from tests.servers.kubernetes.identities import apply_identities, apply_policies, bind, kubeconfigs
from tests.servers.kubernetes.programs import find_or_build
from tests.servers.kubernetes.server import ClusterServer, RefusedError, open_cluster_server
from tests.servers.parts import PartMissingError

SECONDS = 60.0


def stage(server: ClusterServer, scenario: Scenario) -> None:
    """Puts the scenario's workload into its broken state, whatever it was before."""
    namespace, name = scenario.namespace, scenario.workload
    _ensure_namespace(server, namespace)
    server.kubectl(
        "-n", namespace, "delete", "deployment", name, "--ignore-not-found", "--cascade=foreground", "--wait"
    )
    if scenario.before is not None:
        earlier = deployment_of(scenario, image=scenario.before)
        earlier["spec"]["replicas"] = 0
        _apply(server, earlier)
        _until(lambda: _observed(server, namespace, name))
    _apply(server, deployment_of(scenario, image=scenario.image))
    if scenario.corrupt:
        _until(lambda: len(_pods(server, scenario, is_ready=True)) == scenario.replicas)
        broken = _pods(server, scenario, is_ready=True)[: scenario.corrupt]
        server.kubectl("-n", namespace, "annotate", "pod", *broken, "simulator/corrupt=true")
        _until(lambda: len(_pods(server, scenario, is_ready=True)) == scenario.replicas - scenario.corrupt)


def issue_credentials(server: ClusterServer, namespaces: Iterable[str]) -> None:
    """Makes the product's identities and policies, and lets approvals change these namespaces."""
    apply_identities(server)
    apply_policies(server)
    for namespace in sorted(namespaces):
        bind(server, namespace)


def _ensure_namespace(server: ClusterServer, namespace: str) -> None:
    try:
        server.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    except RefusedError as error:
        if error.status != 409:
            raise
    _until(lambda: _exists(server, f"/api/v1/namespaces/{namespace}/serviceaccounts/default"))


def _apply(server: ClusterServer, manifest: dict) -> None:
    file = server.folder / "staged.json"
    file.write_text(json.dumps(manifest), encoding="utf-8")
    server.kubectl("apply", "-f", str(file))


def _exists(server: ClusterServer, path: str) -> bool:
    try:
        server.request("GET", path)
    except RefusedError:
        return False
    return True


def _observed(server: ClusterServer, namespace: str, name: str) -> bool:
    found = server.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
    return found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]


def _pods(server: ClusterServer, scenario: Scenario, *, is_ready: bool) -> list[str]:
    found = server.request("GET", f"/api/v1/namespaces/{scenario.namespace}/pods?labelSelector=app={scenario.workload}")
    return [
        one["metadata"]["name"]
        for one in found["items"]
        if any(
            condition["type"] == "Ready" and (condition["status"] == "True") is is_ready
            for condition in one.get("status", {}).get("conditions", [])
        )
    ]


def _until(condition) -> None:
    ends = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > ends:
            raise ResolverError("The demo's incidents could not be staged in time on the test cluster.")
        time.sleep(0.2)


def main() -> int:
    parser = argparse.ArgumentParser(description="The demo against a real Kubernetes API server.")
    parser.add_argument("--headless", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--port", type=int, default=8084)
    parser.add_argument("--slack-port", type=int, default=8085)
    given = parser.parse_args()
    try:
        programs = find_or_build()
    except PartMissingError as error:
        print(f"demo-cluster: missing: {error}", file=sys.stderr)
        return 1
    with open_cluster_server(programs) as server:
        scenarios = {one.name: one for one in (*SCENARIOS, CONTRACT)}
        for scenario in scenarios.values():
            stage(server, scenario)
        issue_credentials(server, {one.namespace for one in scenarios.values()})
        wanted = Wanted(
            port=0 if given.headless else given.port,
            slack_port=0 if given.headless else given.slack_port,
            page=None if given.headless else demo_page(),
            kubeconfig=Path(server.kubeconfig),
            restage=lambda name: stage(server, scenarios[name]),
            changed=kubeconfigs(server, hours=24),
        )
        try:
            return asyncio.run(show(wanted, is_headless=given.headless, is_json=given.json))
        except ResolverError as error:
            print(f"demo-cluster: {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
