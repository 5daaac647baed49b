"""Logs: JSON lines on standard error."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from core.redaction import redact_tree


def _without_secrets(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last look before a line leaves: whatever text is in it, tracebacks included."""
    return {name: redact_tree(value, name=name) for name, value in event.items()}


def configure_logs(level: str) -> None:
    """From this level up; what libraries log by themselves (from WARNING up) leaves in the same form."""
    first: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: list[structlog.typing.Processor] = [_without_secrets, structlog.processors.JSONRenderer()]
    foreign = logging.StreamHandler(sys.stderr)
    foreign.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*first, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=max(logging.WARNING, getattr(logging, level)), handlers=[foreign], force=True)
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
