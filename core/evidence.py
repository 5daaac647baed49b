"""Evidence first: what events and logs say of a failed state is kept in history before an undo wipes it out."""

import asyncio

from core.context import ContextGatherer
from core.findings import Finding, IncidentContext
from core.history import Entry, Happened
from core.ports import Store
from core.redaction import redact
from core.resolution import Resolution

SECONDS = 10.0
_FINDINGS = 12
_LENGTH = 2_000


async def keep_evidence(store: Store, gatherer: ContextGatherer, resolution: Resolution) -> None:
    """Looks once, for no longer than `SECONDS`: an undo is never held up by a source that does not answer."""
    try:
        async with asyncio.timeout(SECONDS):
            seen = await gatherer.gather(resolution.request)
    except TimeoutError:
        seen = IncidentContext()
    kept = [_told(finding) for finding in sorted(seen.findings, key=_rank)[:_FINDINGS]]
    missing = [f"{gap.source}: {redact(gap.reason)}"[:300] for gap in seen.gaps if not gap.is_off]
    async with store.transaction() as tx:
        facts = {"findings": kept, "missing": missing}
        await tx.append(Entry(Happened.EVIDENCE_KEPT, resolution.id, None, facts))


def _rank(finding: Finding) -> int:
    """Logs and events first: they are what an undo wipes out."""
    return 0 if finding.title.startswith(("Log of", "Events")) else 1


def _told(finding: Finding) -> dict[str, str]:
    return {"source": finding.source, "title": redact(finding.title)[:200], "text": redact(finding.text)[-_LENGTH:]}
