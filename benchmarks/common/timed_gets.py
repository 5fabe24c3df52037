"""Requests of a reader, one after the other over one connection, each timed."""

import asyncio
import time
from collections.abc import Sequence

from tests.support.wire import connected


async def timed_gets(url: str, paths: Sequence[str], expected: bytes, pause_seconds: float) -> list[float]:
    """Seconds of each `GET`; an answer without the expected bytes ends the run."""
    took = []
    async with connected(url, 1) as [connection]:
        for path in paths:
            started = time.perf_counter()
            reply = await connection.get(path)
            took.append(time.perf_counter() - started)
            if expected not in reply.body:
                raise SystemExit(f"{path}: {reply.status} {reply.body[:300]!r}")
            await asyncio.sleep(pause_seconds)
    return took
