"""How long requests took: measured one after the other, and told in one way for every table."""

import asyncio
import time
from collections.abc import Sequence
from math import floor, nan

from tests.support.wire import connected


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which so many per cent lie, interpolated between two neighbours; NaN of no values."""
    if not values:
        return nan
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    lower = ordered[floor(place)]
    upper = ordered[min(floor(place) + 1, len(ordered) - 1)]
    return lower + (upper - lower) * (place - floor(place))


def times_ms(seconds: Sequence[float]) -> dict[str, float]:
    """The p50, p99 and p99.9, and the longest of times, in milliseconds."""
    percents = {"p50_ms": 50, "p99_ms": 99, "p999_ms": 99.9, "most_ms": 100}
    return {name: round(1000 * percentile(seconds, percent), 3) for name, percent in percents.items()}


async def timed_gets(url: str, paths: Sequence[str], expected: bytes, pause_seconds: float) -> list[float]:
    """Seconds of each `GET` over one connection; an answer without the expected bytes ends the run."""
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
