"""Fixtures that every kind of test may use."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator

import pytest
import structlog

# pytest-asyncio leaves a loop unclosed on Python 3.11, and warnings are errors.
asyncio.set_event_loop(None)

pytest_plugins = ["tests.postgres"]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command that runs in a test's own process logs to that test's standard error, which then is closed."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each part that this machine misses; pytest's own would name every test."""
    skipped = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    for reason, number in sorted(skipped.items()):
        terminalreporter.write_line(f"{number} tests skipped: {reason.removeprefix('Skipped: ')}")
