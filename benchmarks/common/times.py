"""How long requests took: measured one after the other, and told in one way for every table."""

import http.client
import time
from collections.abc import Sequence
from math import nan
from urllib.parse import urlsplit

import numpy as np

PERCENTS = {"p50_ms": 50, "p99_ms": 99, "p999_ms": 99.9, "most_ms": 100}


def times_ms(seconds: Sequence[float]) -> dict[str, float]:
    """The p50, p99 and p99.9, and the longest of times, in milliseconds; NaN of no times."""
    found = np.percentile(seconds, [*PERCENTS.values()]) * 1000 if seconds else [nan] * len(PERCENTS)
    return {name: round(float(value), 3) for name, value in zip(PERCENTS, found, strict=True)}


def timed_gets(url: str, paths: Sequence[str], expected: bytes, pause_seconds: float) -> list[float]:
    """Seconds of each `GET` over one connection; an answer without the expected bytes ends the run."""
    place, took = urlsplit(url), []
    connection = http.client.HTTPConnection(str(place.hostname), place.port)
    for path in paths:
        started = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse().read()
        took.append(time.perf_counter() - started)
        if expected not in answer:
            raise SystemExit(f"{path}: {answer[:300]!r}")
        time.sleep(pause_seconds)
    connection.close()
    return took
