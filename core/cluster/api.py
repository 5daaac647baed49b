"""One identity's line to the Kubernetes API: JSON in and out, every failure translated."""

import json
import ssl
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import aiohttp
from kubernetes.aio import client as kubernetes_client

from core.cluster.kinds import Kind
from core.errors import (
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    ResolverError,
    StaleError,
    StepFailedError,
    UnavailableError,
)
from core.redaction import redact

Query = Sequence[tuple[str, str]]

MAX_MESSAGE = 500
MAX_ANSWER_BYTES = 32_000_000
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "APPLY": "patch", "DELETE": "delete"}
_CONTENTS = {"PATCH": "application/merge-patch+json", "APPLY": "application/apply-patch+yaml"}
_STRICT_CERTIFICATES = (
    "Python checks certificates strictly: the CA needs basicConstraints and keyUsage marked critical and a subject "
    "key id, the server's certificate an authority key id."
)


class KubernetesApi:
    """Sends requests about one kind. Error texts of the API server are cut and redacted before anybody sees them."""

    def __init__(self, client: kubernetes_client.ApiClient, *, seconds_per_request: float = 15.0) -> None:
        self._client = client
        self._timeout = aiohttp.ClientTimeout(total=seconds_per_request)

    async def get(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any]:
        return await self.send("GET", kind, path=kind.path(namespace, name), namespace=namespace)

    async def list(self, kind: Kind, namespace: str | None, *, query: Query = (), limit: int = 2_000) -> list[Any]:
        """All objects, at most `limit`, page by page; empty where the server does not serve this kind."""
        found: list[Any] = []
        page = [*query, ("limit", str(min(limit, 500)))]
        following = ""
        while len(found) < limit:
            wanted = [*page, ("continue", following)] if following else page
            try:
                answer = await self.send("GET", kind, path=kind.path(namespace), namespace=namespace, query=wanted)
            except NotFoundError:
                return found
            found += [item for item in answer.get("items") or [] if isinstance(item, dict)]
            following = str((answer.get("metadata") or {}).get("continue") or "")
            if not following:
                break
        return found[:limit]

    async def send(
        self,
        method: str,
        kind: Kind,
        *,
        path: str,
        namespace: str | None,
        query: Query = (),
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The answer's JSON object; NotFoundError for 404, whatever the method. APPLY is a server-side apply."""
        text = await self.text(method, kind, path=path, namespace=namespace, query=query, body=body)
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise UnavailableError("The Kubernetes API answered something that is not JSON.") from error
        if not isinstance(answer, dict):
            raise UnavailableError("The Kubernetes API answered something that is no object.")
        return answer

    async def text(
        self,
        method: str,
        kind: Kind,
        *,
        path: str,
        namespace: str | None,
        query: Query = (),
        body: Mapping[str, Any] | None = None,
    ) -> str:
        """The answer as text (logs)."""
        status, raw = await self._exchange(method, path, query=query, body=body)
        text = raw.decode("utf-8", errors="replace")
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return text
        verb = _VERBS.get(method) or ("get" if path.rpartition("/")[2] != kind.resource else "list")
        raise _translated(status, text, verb=verb, kind=kind, namespace=namespace)

    async def _exchange(
        self, method: str, path: str, *, query: Query, body: Mapping[str, Any] | None
    ) -> tuple[int, bytes]:
        accept = "text/plain, */*" if path.endswith("/log") else "application/json"
        try:
            request = await self._client.param_serialize(
                "PATCH" if method in _CONTENTS else method,
                path,
                query_params=list(query),
                header_params={"Accept": accept, "Content-Type": _CONTENTS.get(method, "application/json")},
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await self._client.call_api(*request, _request_timeout=self._timeout)
            return response.status, await _limited(response.response)
        except aiohttp.ClientConnectorCertificateError as error:
            raise UnavailableError(
                f"The certificate of the Kubernetes API is not trusted: {error.certificate_error}. "
                f"{_STRICT_CERTIFICATES}"
            ) from error
        except (aiohttp.ClientError, ssl.SSLError, TimeoutError, OSError) as error:
            host = self._client.configuration.host
            raise UnavailableError(
                f"The Kubernetes API at {host} did not answer ({type(error).__name__}). Check that it is reachable."
            ) from error


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    chunks, size = [], 0
    async for chunk in response.content.iter_chunked(65_536):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            response.close()
            raise UnavailableError("The Kubernetes API answered more than 32 MB at once.")
    return b"".join(chunks)


def _translated(status: int, text: str, *, verb: str, kind: Kind, namespace: str | None) -> ResolverError:
    message = _message(text, kind)
    where = f" in namespace {namespace}" if namespace else ""
    match status:
        case 401:
            return UnavailableError("The Kubernetes API does not accept the credentials (401); renew the kubeconfig.")
        case 403:
            add = f" Add to its Role: {kind.role_line(verb)}." if "cannot " in message else ""
            return NotAllowedError(f"The Kubernetes API refuses to {verb} {kind.resource}{where}: {message}{add}")
        case 404:
            return NotFoundError(f"Not found by the Kubernetes API: {message}")
        case 409:
            return StaleError(f"The object moved or exists already ({verb} {kind.resource}{where}): {message}")
        case 400 | 413 | 422:
            return InvalidInputError(f"The Kubernetes API refuses the object ({kind.name}): {message}")
        case 429 | 502 | 503 | 504:
            return UnavailableError(f"The Kubernetes API is overloaded or starting ({status}): {message}")
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR and verb in {"get", "list"}:
            return UnavailableError(f"The Kubernetes API failed ({status}): {message}")
        case _:
            return StepFailedError(f"The Kubernetes API refused to {verb} {kind.resource}{where} ({status}): {message}")


def _message(text: str, kind: Kind) -> str:
    """The sentence of a Status object. Of a Secret only the reason: some messages quote the whole object."""
    try:
        status = json.loads(text)
    except ValueError:
        status = None
    if not isinstance(status, dict):
        return _shortened(text)
    if kind.name == "Secret" and status.get("code") != HTTPStatus.FORBIDDEN:
        return _shortened(f"{status.get('reason') or 'no reason given'}.")
    return _shortened(str(status.get("message") or status.get("reason") or ""))


def _shortened(text: str) -> str:
    return str(redact(text[: MAX_MESSAGE * 4]))[:MAX_MESSAGE] or "no reason given."
