"""How long from starting `tidegate serve`, with its embedded store, until `GET /readyz` answers 200?

A connection is tried every two milliseconds, asks, and waits for the answer, so what it measures is what a
client would see. The files are cached and compiled: the first start after an installation is longer.
"""

import time
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection

from benchmarks.bench.result import Result
from tests.support.gate import started
from tests.support.processes import free_port, wait_until

BOUND_SECONDS = 1.5
PATIENCE_SECONDS = 30.0
POLL_SECONDS = 0.002


def run(pairs: int) -> list[Result]:
    """Start the gate so many times, one after the other, behind one start that warms the page cache."""
    measured = [_start_seconds() for _ in range(1 + pairs)][1:]
    work = "`tidegate serve` to ready, embedded store"
    return [Result(work, "—", "at most", BOUND_SECONDS, "s", measured, {"starts": measured})]


def _start_seconds() -> float:
    port, begins = free_port(), time.monotonic()
    with started(port=port) as gate:
        if not wait_until(lambda: _is_ready(port), PATIENCE_SECONDS, POLL_SECONDS):
            raise SystemExit(f"the gate is not ready:\n{gate.log.read_text()[-3000:]}")
        took = round(time.monotonic() - begins, 3)
        gate.terminate()
    return took


def _is_ready(port: int) -> bool:
    with (
        closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)) as connection,
        suppress(OSError),
    ):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    return False
