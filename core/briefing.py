"""What an agent is given before it starts: its folder, and what was found out in words."""

import asyncio
from pathlib import Path

from core.errors import ResolverError
from core.findings import IncidentContext
from core.permit import Permit
from core.ports import Cluster
from core.resolution import Request
from core.resources import Resource
from core.snapshot import Manifest
from core.workspace import context_text, write_workspace


async def brief(cluster: Cluster, folder: Path, *, request: Request, context: IncidentContext, permit: Permit) -> str:
    """Fills the folder; returns the text of its context.md."""
    text = context_text(request, context, permit)
    objects = await _objects(cluster, context)
    await asyncio.to_thread(write_workspace, folder, text=text, objects=objects)
    return text


async def _objects(cluster: Cluster, context: IncidentContext) -> list[tuple[Resource, Manifest]]:
    """The affected objects as they are; one that cannot be read is left out, the agent can still ask for it."""
    found: list[tuple[Resource, Manifest]] = []
    for workload in context.affected:
        try:
            manifest = await cluster.read(workload.resource)
        except ResolverError:
            continue
        if manifest is not None:
            found.append((workload.resource, manifest))
    return found
