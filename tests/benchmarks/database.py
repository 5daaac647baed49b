"""A PostgreSQL of its own for times, with our tables."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage import schema
from storage.database import open_engine
from storage.embedded import open_embedded


@contextmanager
def bench_database() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="ir-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        with open_embedded(Path(name)) as url:
            asyncio.run(_upgraded(url))
            yield url


async def _upgraded(url: str) -> None:
    engine = open_engine(url)
    await schema.upgrade(engine)
    await engine.dispose()
