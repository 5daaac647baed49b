"""The product's identities and policies in a cluster of the tests, made by the manifests that it ships."""

from pathlib import Path

from tests.servers.kubernetes.server import ClusterServer

MANIFESTS = Path(__file__).parents[3] / "manifests"
NAMESPACE = "incident-resolver"
GRANTS = "incident-resolver-grants"
POLICIES = ("issuer-fence", "preview-only", "grant-fence", "grant-values", "grant-objects")
ACCOUNTS = {"reader": NAMESPACE} | {one: f"{NAMESPACE}-{one}" for one in ("preview", "keeper", "issuer")}
IN_EACH_NAMESPACE = ("issuer", "keeper", "preview", "grant-reads")


def apply_identities(server: ClusterServer) -> None:
    """Everything but the policies and what is bound in each namespace."""
    names = ["namespace", "grants-namespace", "service-account", "reader-cluster-role", "reader-cluster-role-binding"]
    names += [f"{one}-service-account" for one in ACCOUNTS if one != "reader"]
    names += [f"{one}-cluster-role" for one in IN_EACH_NAMESPACE]
    names += ["issuer-grants-role", "issuer-grants-role-binding"]
    _apply(server, names)


def apply_policies(server: ClusterServer) -> None:
    _apply(server, [f"{one}-policy{part}" for one in POLICIES for part in ("", "-binding")])


def bind(server: ClusterServer, namespace: str) -> None:
    """As the manifests say to: each example copied into the namespace."""
    for one in IN_EACH_NAMESPACE:
        text = (MANIFESTS / f"{one}-role-binding.yaml").read_text()
        file = server.folder / "role-binding.yaml"
        file.write_text(text.replace("  namespace: shop", f"  namespace: {namespace}", 1))
        server.kubectl("apply", "-f", str(file))


def kubeconfigs(server: ClusterServer, *, hours: int = 1) -> dict[str, Path]:
    """One for each identity, by the name of its setting."""
    return {
        f"{who}_kubeconfig": server.token_kubeconfig(NAMESPACE, account, hours=hours)
        for who, account in ACCOUNTS.items()
    }


def _apply(server: ClusterServer, names: list[str]) -> None:
    flags = [part for name in names for part in ("-f", str(MANIFESTS / f"{name}.yaml"))]
    server.kubectl("apply", *flags)
