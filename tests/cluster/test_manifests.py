"""Every manifest that is shipped is accepted by a real API server, without a field it does not know."""

from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from tests.servers.kubernetes.server import ClusterServer, RefusedError

MANIFESTS = Path(__file__).parents[2] / "manifests"
FILES = sorted(MANIFESTS.glob("*.yaml"))


@pytest.fixture(scope="module")
def namespaces(cluster_server: ClusterServer) -> None:
    """What a dry run needs to be there: the product's own namespace and account, and the example's namespace."""
    cluster_server.kubectl("apply", "-f", str(MANIFESTS / "namespace.yaml"))
    cluster_server.kubectl("apply", "-f", str(MANIFESTS / "grants-namespace.yaml"))
    for who in ("", "issuer-", "preview-", "keeper-", "medium-changer-", "high-changer-", "critical-changer-"):
        cluster_server.kubectl("apply", "-f", str(MANIFESTS / f"{who}service-account.yaml"))
    with suppress(RefusedError):  # another module made it
        cluster_server.kubectl("create", "namespace", "shop")


def test_there_are_manifests_to_check():
    assert {"namespace.yaml", "deployment.yaml", "reader-cluster-role.yaml"} <= {file.name for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_shipped_manifest_passes_a_strict_server_side_dry_run(
    file: Path, cluster_server: ClusterServer, namespaces: None
):
    told = cluster_server.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(file))

    assert "(server dry run)" in told
    assert "Warning" not in told


@pytest.mark.parametrize("name", ["deployment", "issuer-deployment"])
def test_the_product_s_pods_are_admitted_by_the_restricted_level_of_its_namespace(
    name: str, cluster_server: ClusterServer, namespaces: None
):
    deployment = yaml.safe_load((MANIFESTS / f"{name}.yaml").read_text())
    template = deployment["spec"]["template"]
    pod = {"metadata": {"name": "one", **template["metadata"]}, "spec": template["spec"]}
    pods = "/api/v1/namespaces/incident-resolver/pods?dryRun=All"

    assert cluster_server.request("POST", pods, pod)["metadata"]["name"] == "one"
    template["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(RefusedError, match="violates PodSecurity"):
        cluster_server.request("POST", pods, pod)
