"""The little of OpenAPI that kubectl asks for: that the server checks fields itself, so that kubectl need not."""

from bot.demo.cluster.kinds import KINDS, Served

_PARAMETERS = [
    {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
    for name in ("dryRun", "fieldManager", "fieldValidation")
]


def index() -> dict[str, object]:
    """The group versions that are described, by path."""
    return {"paths": {_root(one): {"serverRelativeURL": f"/openapi/v3/{_root(one)}"} for one in _group_versions()}}


def description(root: str) -> dict[str, object] | None:
    """Of one group version (`api/v1`, `apis/apps/v1`), None where it is not served."""
    found = [one for one in KINDS if _root(one.group_version) == root]
    if not found:
        return None
    return {
        "openapi": "3.0.0",
        "info": {"title": "a simulator", "version": "v1"},
        "paths": {_path(root, one): {"patch": _patch(one)} for one in found},
    }


def _group_versions() -> list[str]:
    return sorted({one.group_version for one in KINDS})


def _root(group_version: str) -> str:
    return f"apis/{group_version}" if "/" in group_version else f"api/{group_version}"


def _path(root: str, one: Served) -> str:
    place = "namespaces/{namespace}/" if one.is_namespaced else ""
    return f"/{root}/{place}{one.plural}/{{name}}"


def _patch(one: Served) -> dict[str, object]:
    group, _, version = one.group_version.rpartition("/")
    return {
        "parameters": _PARAMETERS,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": one.kind},
    }
