"""The manifests and the code name the same rights: the ceiling is what permits can ask for, and nothing else."""

from pathlib import Path

import pytest
import yaml

from core import writes
from core.cluster import issuing
from core.cluster.posture import POLICIES
from core.rights import VALUES_GROUP, ceiling

MANIFESTS = Path(__file__).parents[2] / "manifests"
FILES = sorted(MANIFESTS.glob("*.yaml"))
GRANTS = "incident-resolver-grants"
RBAC = "rbac.authorization.k8s.io"
OWN_WORK = {
    (RBAC, resource, verb) for resource in ("roles", "rolebindings") for verb in ("create", "get", "list", "delete")
}
NEVER = {"escalate", "bind", "impersonate", "*"}


def read(name: str) -> dict:
    return yaml.safe_load((MANIFESTS / f"{name}.yaml").read_text(encoding="utf-8"))


def triples(role: dict) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_ceiling_of_the_issuer_covers_whatever_a_permit_can_ask_for():
    assert ceiling() - triples(read("issuer-cluster-role")) == set()


def test_the_ceiling_of_the_issuer_holds_nothing_that_no_permit_can_ask_for():
    assert triples(read("issuer-cluster-role")) - ceiling() - OWN_WORK == set()


def test_the_issuer_cannot_alter_what_it_issued_and_reads_no_secret():
    held = triples(read("issuer-cluster-role")) | triples(read("issuer-grants-role"))

    assert not {verb for _, _, verb in held} & NEVER
    assert not {(group, resource, verb) for group, resource, verb in held if group == RBAC} - OWN_WORK
    assert "secrets" not in {resource for _, resource, _ in held}


def test_tokens_can_be_asked_for_in_the_namespace_of_the_grants_alone():
    holders = [
        (file.stem, role["metadata"].get("namespace"))
        for file in FILES
        if (role := read(file.stem))["kind"] in {"Role", "ClusterRole"}
        if any("serviceaccounts/token" in rule["resources"] for rule in role["rules"])
    ]

    assert holders == [("issuer-grants-role", GRANTS)]


def test_the_keeper_alone_reads_secrets():
    readers = {
        file.stem
        for file in FILES
        if (role := read(file.stem))["kind"] in {"Role", "ClusterRole"}
        if any({"secrets", "*"} & set(rule["resources"]) for rule in role["rules"])
    }

    assert readers == {"keeper-cluster-role"}


def test_what_a_grant_lists_without_names_is_bound_by_the_administrator_and_is_no_secret():
    assert triples(read("grant-reads-cluster-role")) == {
        ("apps", one, "list") for one in ("controllerrevisions", "replicasets")
    }


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_refuses_where_it_cannot_be_evaluated_and_its_binding_denies(name: str):
    policy, binding = read(f"{name}-policy"), read(f"{name}-policy-binding")

    assert policy["spec"]["failurePolicy"] == "Fail"
    assert all(one["reason"] == "Forbidden" for one in policy["spec"]["validations"])
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert "Deny" in binding["spec"]["validationActions"]
    assert "matchResources" not in binding["spec"]


def test_the_policies_name_the_accounts_that_are_shipped():
    for name, account in (("issuer-fence", "issuer"), ("preview-only", "preview")):
        metadata = read(f"{account}-service-account")["metadata"]
        user = f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}"
        (condition,) = read(f"{name}-policy")["spec"]["matchConditions"]
        assert condition["expression"] == f"request.userInfo.username == '{user}'"


def test_the_policies_of_values_ask_about_the_group_that_rights_are_written_in():
    text = (MANIFESTS / "grant-values-policy.yaml").read_text(encoding="utf-8")

    assert f"authorizer.group('{VALUES_GROUP}')" in text
    for resource in {resource for group, resource, _ in ceiling() if group == VALUES_GROUP}:
        assert f"variables.values.resource('{resource}')" in text
    assert f"authorizer.group('{VALUES_GROUP}').resource('changes')" in variables("grant-objects")["changes"]


def variables(policy: str) -> dict[str, str]:
    return {one["name"]: one["expression"] for one in read(f"{policy}-policy")["spec"]["variables"]}


def test_what_may_be_approved_of_pods_is_the_same_for_the_policy_and_for_those_who_ask():
    told = variables("grant-values")

    assert set(yaml.safe_load(told["podKeys"])) == writes.POD_KEYS | {"containers"}
    assert set(yaml.safe_load(told["containerKeys"])) == writes.CONTAINER_KEYS
    asked = [one["expression"] for one in read("grant-values-policy")["spec"]["validations"]]
    assert sum(f"startsWith('{writes.CONFINEMENT}')" in one for one in asked) == 1
    assert sum("hostPort" in one for one in asked) == 1


def matched(policy: str) -> set[tuple[str, str]]:
    rules = read(f"{policy}-policy")["spec"]["matchConstraints"]["resourceRules"]
    assert all(one["operations"] == ["CREATE", "UPDATE"] for one in rules)
    return {(group, resource) for rule in rules for group in rule["apiGroups"] for resource in rule["resources"]}


def test_whatever_a_grant_may_write_is_matched_by_a_policy_of_values_and_passed_by_the_fence():
    written = {(group, one) for group, one, verb in ceiling() if verb in {"patch", "update"}}
    made = {(group, one) for group, one, verb in ceiling() if verb == "create"} - {("", "pods/eviction")}
    fence = read("grant-fence-policy")["spec"]["validations"][0]["expression"]

    assert written == matched("grant-values") | matched("grant-objects")
    assert made <= matched("grant-objects")
    for group, one in written:
        assert f"'{group}/{one}'" in fence.replace("/'", "'")


def test_grants_live_in_the_namespace_that_the_manifests_make():
    assert read("grants-namespace")["metadata"]["name"] == GRANTS == issuing.GRANTS_NAMESPACE


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_holds_one_object_and_its_namespace_where_it_has_one(file: Path):
    (made,) = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    is_cluster_wide = made["kind"].startswith(("Cluster", "Validating")) or made["kind"] == "Namespace"

    assert ("namespace" in made["metadata"]) is not is_cluster_wide


def test_the_service_finds_each_identity_where_its_settings_say():
    settings, kubeconfigs = read("settings-config-map")["data"], read("kubeconfigs-config-map")["data"]
    (container,) = read("deployment")["spec"]["template"]["spec"]["containers"]
    mounts = {one["mountPath"] for one in container["volumeMounts"]}

    for who in ("PREVIEW", "KEEPER"):
        path = Path(settings[f"INCIDENT_RESOLVER_{who}_KUBECONFIG"])
        config = yaml.safe_load(kubeconfigs[path.name])
        token = Path(config["users"][0]["user"]["tokenFile"])
        assert str(path.parent) in mounts
        assert str(token.parent) in mounts
    assert str(Path(settings["INCIDENT_RESOLVER_ISSUER_KEY"]).parent) in mounts


def test_the_issuer_is_given_the_database_and_its_certificates_and_nothing_else():
    (container,) = read("issuer-deployment")["spec"]["template"]["spec"]["containers"]

    assert {one["secretRef"]["name"] for one in container["envFrom"]} == {"incident-resolver-issuer-secrets"}
    assert set(read("issuer-secret.example")["stringData"]) == {"DATABASE_URL"}
    assert {one["name"].removeprefix("INCIDENT_RESOLVER_ISSUER_") for one in container["env"]} == {
        "LISTEN",
        "CERTIFICATE",
        "KEY",
        "CA",
    }


def test_what_the_service_s_own_account_may_do_is_reading():
    held = triples(read("reader-cluster-role"))

    assert {verb for _, _, verb in held} == {"get", "list", "watch"}


LEVELS = ("medium", "high", "critical")


def test_each_ready_made_role_is_bound_to_its_own_level_and_those_above():
    for number, level in enumerate(LEVELS):
        bound = {one["name"] for one in read(f"{level}-changer-role-binding")["subjects"]}

        assert bound == {f"incident-resolver-{one}-changer" for one in LEVELS[number:]}
        assert read(f"{level}-changer-service-account")["metadata"]["name"] in bound


def test_no_ready_made_role_repeats_another_scales_below_high_or_deletes_more_than_pods_below_critical():
    held = {level: triples(read(f"{level}-changer-cluster-role")) for level in LEVELS}
    shared = {("batch", "cronjobs", "get"), ("batch", "cronjobs", "list")}

    assert (held["medium"] & held["high"]) | (held["high"] & held["critical"]) == set()
    assert held["medium"] & held["critical"] == shared
    assert not any("scale" in resource or "autoscaler" in resource for _, resource, _ in held["medium"])
    assert {(one, verb) for _, one, verb in held["medium"] | held["high"] if verb == "delete"} == {("pods", "delete")}
    assert not {group for each in held.values() for group, _, _ in each} - {
        "",
        "apps",
        "autoscaling",
        "batch",
        "policy",
    }


@pytest.mark.parametrize("name", ["deployment", "issuer-deployment"])
def test_no_service_sets_a_variable_that_is_spelt_like_a_setting(name: str):
    """A Service called incident-resolver would set INCIDENT_RESOLVER_PORT to tcp://…"""
    assert read(name)["spec"]["template"]["spec"]["enableServiceLinks"] is False
