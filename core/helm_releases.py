"""Helm releases, as helm keeps them: one Secret a revision. Pure."""

import base64
import binascii
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from core.resources import Resource

_TYPE = "helm.sh/release.v1"
MAX_BYTES = 32_000_000


@dataclass(frozen=True, slots=True)
class Release:
    """One revision. `manifest` is the YAML of its objects; `hooks` are names with the moments they run at."""

    name: str
    namespace: str
    revision: int
    status: str
    values: Mapping[str, Any]
    manifest: str
    hooks: tuple[str, ...]

    def objects(self) -> list[Resource]:
        """What its manifest names, in its own order."""
        found = [one for one in yaml.safe_load_all(self.manifest) if one]
        return [
            Resource(
                one["kind"],
                one["metadata"]["name"],
                one["metadata"].get("namespace", self.namespace),
                one["apiVersion"],
            )
            for one in found
        ]


def release_of(secret: Mapping[str, Any]) -> Release | None:
    """None where the Secret holds no release, or one that cannot be read."""
    if secret.get("type") != _TYPE:
        return None
    try:
        packed = base64.b64decode(base64.b64decode((secret.get("data") or {})["release"]))
        told = json.loads(gzip.decompress(packed)[:MAX_BYTES])
    except (KeyError, ValueError, OSError, EOFError, binascii.Error):
        return None
    labels = secret["metadata"].get("labels") or {}
    return Release(
        name=str(told["name"]),
        namespace=str(told["namespace"]),
        revision=int(told["version"]),
        status=str(labels.get("status") or told["info"]["status"]),
        values=told.get("config") or {},
        manifest=str(told.get("manifest") or ""),
        hooks=tuple(f"{one['name']} ({', '.join(one.get('events') or [])})" for one in told.get("hooks") or []),
    )


def left_by_upgrade(before: Mapping[str, Any], live: Mapping[str, Any]) -> Release | None:
    """The revision that was deployed before and is not any more, though its Secret is still there."""
    was, now = release_of(before), release_of(live)
    is_left = was is not None and now is not None and was.status == "deployed" != now.status
    return was if is_left else None
