"""Logs: JSON lines on standard error."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from core.redaction import redact


def _without_secrets(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last look before a line leaves: whatever text is in it, tracebacks included."""
    return {name: redact(value) if isinstance(value, str) else value for name, value in event.items()}


def configure_logs(level: str) -> None:
    """From this level up."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _without_secrets,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
