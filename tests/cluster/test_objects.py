"""KubernetesCluster on a real API server: reading, and writing under preconditions."""

from dataclasses import replace
from pathlib import Path

import pytest

from core import owners
from core.cluster.client import KubernetesCluster, open_cluster
from core.cluster.runner import kubectl_path
from core.errors import InvalidInputError, NotAllowedError, NotFoundError, StaleError, UnavailableError
from core.resources import Resource
from tests.cluster import objects
from tests.servers.kubernetes.server import ClusterServer
from tests.servers.processes import free_ports


def config_map_named(namespace: str, name: str = "settings") -> Resource:
    return Resource("ConfigMap", name, namespace, "v1")


def uid_of(manifest) -> str:
    return str(manifest["metadata"]["uid"])


async def test_a_cluster_is_named_by_the_uid_of_kube_system(cluster: KubernetesCluster, cluster_server: ClusterServer):
    kube_system = cluster_server.request("GET", "/api/v1/namespaces/kube-system")

    assert await cluster.uid() == uid_of(kube_system)
    assert cluster.name == "test-cluster"


async def test_an_object_that_does_not_exist_reads_as_none(cluster: KubernetesCluster, namespace: str):
    assert await cluster.read(config_map_named(namespace)) is None


async def test_a_created_object_reads_as_it_was_written_and_names_its_writer(
    cluster: KubernetesCluster, namespace: str
):
    made = await cluster.create(objects.config_map(namespace, colour="red"), is_dry_run=False)
    read = await cluster.read(config_map_named(namespace))

    assert read == made
    assert read["data"] == {"colour": "red"}
    assert [one["manager"] for one in read["metadata"]["managedFields"]] == [owners.FIELD_MANAGER]


async def test_a_kind_that_is_not_known_here_is_found_by_its_api_version(cluster: KubernetesCluster, namespace: str):
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"holderIdentity": "a test"},
    }
    await cluster.create(lease, is_dry_run=False)

    read = await cluster.read(Resource("Lease", "one", namespace, "coordination.k8s.io/v1"))

    assert read is not None
    assert read["spec"] == {"holderIdentity": "a test"}


async def test_of_a_kind_that_nobody_serves_there_is_no_object_and_none_can_be_made(
    cluster: KubernetesCluster, namespace: str
):
    assert await cluster.read(Resource("Gadget", "one", namespace, "example.com/v1")) is None

    gadget = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "one", "namespace": namespace}}
    with pytest.raises(NotFoundError, match=r"does not serve Gadget in example\.com/v1"):
        await cluster.create(gadget, is_dry_run=False)


async def test_a_dry_run_of_a_creation_stores_nothing(cluster: KubernetesCluster, namespace: str):
    would_be = await cluster.create(objects.config_map(namespace, colour="red"), is_dry_run=True)

    assert uid_of(would_be)
    assert await cluster.read(config_map_named(namespace)) is None


async def test_creating_what_exists_is_stale(cluster: KubernetesCluster, namespace: str):
    await cluster.create(objects.config_map(namespace), is_dry_run=False)

    with pytest.raises(StaleError, match="exists already"):
        await cluster.create(objects.config_map(namespace), is_dry_run=True)


async def test_a_field_that_the_server_does_not_know_is_refused(cluster: KubernetesCluster, namespace: str):
    with pytest.raises(InvalidInputError, match="unknown field"):
        await cluster.create(objects.config_map(namespace) | {"dota": {}}, is_dry_run=False)


async def test_a_replacement_is_stored_and_its_dry_run_is_not(cluster: KubernetesCluster, namespace: str):
    made = await cluster.create(objects.config_map(namespace, colour="red"), is_dry_run=False)
    blue = {**made, "data": {"colour": "blue"}}

    would_be = await cluster.replace(blue, is_dry_run=True)
    after_dry_run = await cluster.read(config_map_named(namespace))
    await cluster.replace(blue, is_dry_run=False)
    after = await cluster.read(config_map_named(namespace))

    assert would_be["data"] == {"colour": "blue"}
    assert after_dry_run == made
    assert after is not None
    assert after["data"] == {"colour": "blue"}


@pytest.mark.parametrize("is_dry_run", [True, False])
async def test_a_replacement_read_before_somebody_else_wrote_is_stale_and_overwrites_nothing(
    is_dry_run: bool, cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str
):
    made = await cluster.create(objects.config_map(namespace, colour="red"), is_dry_run=False)
    path = f"/api/v1/namespaces/{namespace}/configmaps/settings"
    theirs = cluster_server.request(
        "PATCH", path, {"data": {"colour": "green"}}, content="application/merge-patch+json"
    )

    with pytest.raises(StaleError, match="the object has been modified"):
        await cluster.replace({**made, "data": {"colour": "blue"}}, is_dry_run=is_dry_run)

    assert await cluster.read(config_map_named(namespace)) == theirs


async def test_a_replacement_without_a_version_is_refused_before_it_is_sent(cluster: KubernetesCluster, namespace: str):
    with pytest.raises(InvalidInputError, match="without the resourceVersion"):
        await cluster.replace(objects.config_map(namespace), is_dry_run=True)


async def test_a_replacement_of_an_object_that_was_made_anew_is_stale(cluster: KubernetesCluster, namespace: str):
    first = await cluster.create(objects.config_map(namespace, colour="red"), is_dry_run=False)
    await cluster.delete(replace(config_map_named(namespace), uid=uid_of(first)), is_dry_run=False)
    second = await cluster.create(objects.config_map(namespace, colour="green"), is_dry_run=False)

    with pytest.raises(StaleError):
        await cluster.replace(first, is_dry_run=False)

    assert await cluster.read(config_map_named(namespace)) == second


async def test_a_deletion_deletes_and_its_dry_run_does_not(cluster: KubernetesCluster, namespace: str):
    made = await cluster.create(objects.config_map(namespace), is_dry_run=False)
    target = replace(config_map_named(namespace), uid=uid_of(made))

    await cluster.delete(target, is_dry_run=True)
    after_dry_run = await cluster.read(target)
    await cluster.delete(target, is_dry_run=False)

    assert after_dry_run == made
    assert await cluster.read(target) is None


async def test_deleting_what_is_gone_is_no_failure(cluster: KubernetesCluster, namespace: str):
    await cluster.delete(
        replace(config_map_named(namespace), uid="00000000-0000-0000-0000-000000000000"), is_dry_run=False
    )


@pytest.mark.parametrize("is_dry_run", [True, False])
async def test_a_deletion_of_another_object_of_that_name_is_stale_and_deletes_nothing(
    is_dry_run: bool, cluster: KubernetesCluster, namespace: str
):
    made = await cluster.create(objects.config_map(namespace), is_dry_run=False)
    target = replace(config_map_named(namespace), uid="00000000-0000-0000-0000-000000000000")

    with pytest.raises(StaleError):
        await cluster.delete(target, is_dry_run=is_dry_run)

    assert await cluster.read(target) == made


async def test_an_identity_without_the_right_is_told_what_its_role_lacks(
    cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str
):
    made = await cluster.create(objects.config_map(namespace, colour="red"), is_dry_run=False)
    objects.service_account_that_may(cluster_server, namespace, "looker", verbs=["get"], resources=["configmaps"])
    target = replace(config_map_named(namespace), uid=uid_of(made))
    kubeconfig = cluster_server.token_kubeconfig(namespace, "looker")

    async with open_cluster(kubeconfig, kubectl=kubectl_path(None)) as looker:
        assert await looker.read(target) == made
        with pytest.raises(NotAllowedError, match=r'Add to its Role: \{apiGroups: \[""\], resources: \[secrets\]'):
            await looker.read(Resource("Secret", "keys", namespace, "v1"))
        with pytest.raises(NotAllowedError, match=r"resources: \[configmaps\], verbs: \[create\]"):
            await looker.create(objects.config_map(namespace, "other"), is_dry_run=True)
        with pytest.raises(NotAllowedError, match=r"resources: \[configmaps\], verbs: \[update\]"):
            await looker.replace(made, is_dry_run=False)
        with pytest.raises(NotAllowedError, match=r"resources: \[configmaps\], verbs: \[delete\]"):
            await looker.delete(target, is_dry_run=False)
        with pytest.raises(NotAllowedError, match=r"resources: \[pods\], verbs: \[list\]"):
            await looker.workload(target)
        assert await looker.uid() is None

    assert await cluster.read(target) == made


async def test_a_token_that_nobody_issued_is_not_accepted(
    cluster_server: ClusterServer, namespace: str, tmp_path: Path
):
    config = cluster_server.kubeconfig.read_text()
    user = config[config.index("users:") :]
    forged = tmp_path / "kubeconfig"
    forged.write_text(config.replace(user, "users:\n- name: test-user\n  user: {token: not-a-token}\n"))

    async with open_cluster(forged, kubectl=kubectl_path(None)) as nobody:
        with pytest.raises(UnavailableError, match="does not accept the credentials"):
            await nobody.read(config_map_named(namespace))


async def test_an_api_server_that_is_not_there_is_unavailable(cluster_server: ClusterServer, tmp_path: Path):
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(cluster_server.kubeconfig.read_text().replace(cluster_server.url, _nobody_s_url()))

    async with open_cluster(nowhere, kubectl=kubectl_path(None)) as absent:
        with pytest.raises(UnavailableError, match="did not answer"):
            await absent.read(config_map_named("default"))


async def test_a_refused_secret_s_value_is_not_in_the_error(cluster: KubernetesCluster, namespace: str):
    secret = objects.secret(namespace, password="hunter2-hunter2") | {"dota": {}}

    with pytest.raises(InvalidInputError) as refused:
        await cluster.create(secret, is_dry_run=False)

    assert "hunter2" not in str(refused.value)
    assert str(refused.value) == "The Kubernetes API refuses the object (Secret): BadRequest."


def _nobody_s_url() -> str:
    return f"https://127.0.0.1:{free_ports(1)[0]}"
