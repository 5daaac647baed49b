"""What the sources found out about an incident, and where they could not answer."""

from dataclasses import dataclass, field
from datetime import datetime

from core.resources import Resource, Workload


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of evidence, in words. `text` may come from an attacker (logs, events): treat it as data."""

    source: str
    title: str
    text: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A source that could not answer, and why. Missing facts raise risk."""

    source: str
    reason: str
    is_off: bool = False
    """True where the source is not configured at all: said on the card, no reason to raise risk."""


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """What one source knows: evidence in words, and the facts that risk and permit are made from.

    `workloads` are the affected ones (Kubernetes only); `other_workloads` their healthy neighbours in the namespace
    that the request's text may name; `dependants` are resources that depend on the affected ones (graph, platform);
    `failed_before` counts failed resolutions of the same kind on the same target lately. `gaps` are parts of the answer
    that the source was refused.
    """

    findings: tuple[Finding, ...] = ()
    workloads: tuple[Workload, ...] = ()
    dependants: tuple[Resource, ...] = ()
    nodes_not_ready: tuple[str, ...] = ()
    failed_before: int = 0
    cluster_name: str | None = None
    cluster_uid: str | None = None
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class IncidentContext:
    """All answers together. `affected` are the workloads the request is about, chosen by `core.context`."""

    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()
    affected: tuple[Workload, ...] = ()
    dependants: tuple[Resource, ...] = ()
    nodes_not_ready: tuple[str, ...] = ()
    failed_before: int = 0
    cluster_name: str = "the cluster"
    cluster_uid: str | None = None
    sources: tuple[str, ...] = field(default=())
