"""Evidence first: what is known of the failed state is kept before anything is put back, and holds nothing up."""

import pytest

from core.context import ContextGatherer
from core.evidence import SECONDS, keep_evidence
from core.findings import Finding, SourceAnswer
from core.history import Happened
from tests.fakes.records import MemoryRecords
from tests.fakes.sources import ScriptedSource
from tests.unit.core import examples


async def kept(source) -> dict:
    records = MemoryRecords()
    gatherer = ContextGatherer([source], seconds_per_source=60, choose=lambda *_: ())
    await keep_evidence(records, gatherer, examples.resolution())
    (entry,) = records.history
    assert (entry.what, entry.resolution_id) == (Happened.EVIDENCE_KEPT, "r-1")
    return dict(entry.facts)


async def test_logs_and_events_come_first_and_secrets_are_not_in_them():
    found = [
        *(Finding("kubernetes", f"Note {number}", "x") for number in range(20)),
        Finding("kubernetes", "Events", "Back-off restarting"),
        Finding("kubernetes", "Log of web-1/web", "password=hunter2-very-long-secret\n" + "y" * 5_000 + "\nthe end"),
    ]

    facts = await kept(ScriptedSource("kubernetes", SourceAnswer(findings=tuple(found))))

    titles = [one["title"] for one in facts["findings"]]
    assert titles[:2] == ["Events", "Log of web-1/web"]
    assert len(titles) == 12
    assert facts["findings"][1]["text"].endswith("the end")
    assert "hunter2" not in str(facts)


@pytest.mark.looptime
async def test_a_source_that_does_not_answer_holds_no_undo_up(looptime):
    facts = await kept(ScriptedSource("kubernetes", SourceAnswer(), delay=600))

    assert facts["findings"] == []
    assert looptime == SECONDS
