"""Starts what was judged, for the agent's lines and for dry runs alike."""

from contextlib import nullcontext
from pathlib import Path

from core.effects import Judged
from core.ports import Cluster, CommandResult
from core.workspace import sealed_folder


async def run_judged(
    cluster: Cluster, judged: Judged, *, folder: Path, seconds: float, namespace: str
) -> CommandResult:
    """A line that names files runs where there are only the bytes that were judged, out of the agent's reach."""
    with sealed_folder(judged.files) if judged.files is not None else nullcontext(folder) as place:
        return await cluster.run(judged.stages, folder=place, seconds=seconds, namespace=namespace)
