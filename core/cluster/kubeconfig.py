"""The kubeconfig: read once, for the client and for the kubectl that runs judged commands."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio.config import kube_config
from kubernetes.aio.config.config_exception import ConfigException

from core.errors import InvalidInputError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
IN_CLUSTER_SERVER = "https://kubernetes.default.svc"
_FILE_KEYS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """The current context of a kubeconfig, its file names absolute. `cluster_name` is what people call the cluster."""

    cluster_name: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any]
    namespace: str | None

    def as_config(self, *, user: Mapping[str, Any], namespace: str | None) -> dict[str, Any]:
        context = {"cluster": "c", "user": "u"} | ({"namespace": namespace} if namespace else {})
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "clusters": [{"name": "c", "cluster": copy.deepcopy(dict(self.cluster))}],
            "users": [{"name": "u", "user": copy.deepcopy(dict(user))}],
            "contexts": [{"name": "x", "context": context}],
        }


def read_kubeconfig(path: Path | None) -> Kubeconfig:
    """`path` None means the service account that a pod runs as. InvalidInputError says what is wrong with the file."""
    if path is None:
        return _in_cluster()
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= _MAX_BYTES else None
    except FileNotFoundError as error:
        raise InvalidInputError(
            f"The kubeconfig {path} does not exist. Set KUBECONFIG to a file that does.", field="KUBECONFIG"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"The kubeconfig {path} cannot be read as text.", field="KUBECONFIG") from error
    if text is None:
        raise _refusal(path, "it is larger than 1 MB")
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise _refusal(path, f"it is not YAML{where}") from error
    return _current(config, path)


def _in_cluster() -> Kubeconfig:
    token = SERVICE_ACCOUNT / "token"
    if not token.exists():
        raise InvalidInputError(
            "No cluster is configured: set KUBECONFIG to a kubeconfig, or run in a pod with a service account.",
            field="KUBECONFIG",
        )
    try:
        namespace = (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip() or None
    except OSError:
        namespace = None
    cluster = {"server": IN_CLUSTER_SERVER, "certificate-authority": str(SERVICE_ACCOUNT / "ca.crt")}
    return Kubeconfig("the cluster it runs in", cluster, {"tokenFile": str(token)}, namespace)


def _current(config: object, path: Path) -> Kubeconfig:
    if not isinstance(config, dict):
        raise _refusal(path, "it is empty or no mapping")
    current = config.get("current-context")
    if not isinstance(current, str) or not current:
        raise _refusal(path, "it has no current-context (kubectl config use-context NAME sets one)")
    context = _named(config, "context", current, path)
    cluster_name = str(context.get("cluster", ""))
    cluster = _named(config, "cluster", cluster_name, path)
    server = cluster.get("server")
    if not isinstance(server, str) or not server.startswith(("https://", "http://")):
        raise _refusal(path, f"the server of cluster {cluster_name!r} is no http or https address")
    user_name = context.get("user")
    user = _named(config, "user", str(user_name), path) if user_name else {}
    namespace = context.get("namespace")
    folder = path.parent.absolute()
    return Kubeconfig(
        cluster_name,
        _with_absolute_files(cluster, folder),
        _with_absolute_files(user, folder),
        str(namespace) if namespace else None,
    )


def _named(config: dict[str, Any], singular: str, name: str, path: Path) -> dict[str, Any]:
    entries = config.get(f"{singular}s")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(singular), dict):
            return dict(entry[singular])
    raise _refusal(path, f"it holds no {singular} named {name!r}")


def _with_absolute_files(section: dict[str, Any], folder: Path) -> dict[str, Any]:
    made = {key: str(folder / section[key]) for key in _FILE_KEYS if isinstance(section.get(key), str)}
    return section | made


def _refusal(path: Path, why: str) -> InvalidInputError:
    return InvalidInputError(f"The kubeconfig {path} cannot be used: {why}.", field="KUBECONFIG")


@dataclass(frozen=True, slots=True)
class Credentials:
    """One identity: the client's own Configuration, and what kubectl is given."""

    kubeconfig: Kubeconfig
    configuration: kubernetes_client.Configuration

    def for_kubectl(self, namespace: str) -> bytes:
        """A kubeconfig whose default namespace is `namespace`; credential plugins are replaced by what they gave."""
        user = dict(self.kubeconfig.user)
        if "exec" in user or "auth-provider" in user:
            user = self._resolved()
        return json.dumps(self.kubeconfig.as_config(user=user, namespace=namespace)).encode()

    async def with_token(self, token: str) -> "Credentials":
        """Another identity of the same cluster, in memory only."""
        return await credentials_of(replace(self.kubeconfig, user={"token": token}), named="of the token")

    def _resolved(self) -> dict[str, Any]:
        bearer = str(self.configuration.api_key.get("BearerToken", ""))
        if bearer[:7].lower() == "bearer ":
            return {"token": bearer[7:]}
        if self.configuration.cert_file:
            return {
                "client-certificate": self.configuration.cert_file,
                "client-key": self.configuration.key_file,
            }
        return {}


async def load_credentials(path: Path | None) -> Credentials:
    """Own Configuration, never the process-wide default; token files and plugins are asked again when due."""
    return await credentials_of(read_kubeconfig(path), named=str(path or "of the service account"))


async def credentials_of(kubeconfig: Kubeconfig, *, named: str) -> Credentials:
    """As load_credentials; `named` tells which kubeconfig an error is about."""
    configuration = kubernetes_client.Configuration()
    config = kubeconfig.as_config(user=kubeconfig.user, namespace=None)
    try:
        loader = await kube_config.load_kube_config_from_dict(  # type: ignore[no-untyped-call]  # untyped library
            config, client_configuration=configuration
        )
    except (ConfigException, ValueError, OSError, KeyError) as error:
        raise InvalidInputError(
            f"The kubeconfig {named} cannot be used: its certificates, key or token cannot be read.",
            field="KUBECONFIG",
        ) from error
    if "exec" in kubeconfig.user and not configuration.api_key and not configuration.cert_file:
        raise InvalidInputError(
            f"The credential plugin of the kubeconfig {named} gave no credential; run its command by hand to see why.",
            field="KUBECONFIG",
        )
    configuration.retries = None
    configuration.client_session_kwargs = {"trust_env": False}
    _keep_fresh(configuration, loader, kubeconfig)
    return Credentials(kubeconfig, configuration)


def _keep_fresh(configuration: kubernetes_client.Configuration, loader: Any, kubeconfig: Kubeconfig) -> None:  # noqa: ANN401 (untyped library)
    """A service account's token file is rewritten by the kubelet before its token ends; plugins name an end."""
    token_file = kubeconfig.user.get("tokenFile")
    if isinstance(token_file, str) and "token" not in kubeconfig.user:

        def read_again(changed: kubernetes_client.Configuration) -> None:
            token = Path(token_file).read_text(encoding="utf-8").strip()
            changed.api_key["BearerToken"] = f"Bearer {token}"

        configuration.refresh_api_key_hook = read_again  # type: ignore[assignment]  # typed as None by its default
    elif "exec" in kubeconfig.user:

        async def ask_again(changed: kubernetes_client.Configuration) -> None:
            if hasattr(loader, "exec_plugin_expiry"):
                await loader.load_from_exec_plugin()
                changed.api_key["BearerToken"] = loader.token

        configuration.refresh_api_key_hook = ask_again  # type: ignore[assignment]  # as above
