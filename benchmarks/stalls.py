"""The longest turn of the event loop under every hostile body, and what good clients see beside.

    python -m benchmarks.stalls [NAME…]

A gate whose event loop is watched gets each body of `tests/support/hostile.py` in turn, one after another
without a pause for `--seconds`, while four good clients post single transactions. For each body it prints the
longest turn of the loop (on the clock, and of CPU: the clock is longer when somebody else has the
processor), and how long the good clients waited. The last line is the worst of all.
"""

import asyncio
import json
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import Process, Queue
from pathlib import Path

import httpx

from benchmarks.common.gates import Service, module, service
from benchmarks.common.results import options_of
from benchmarks.common.times import times_ms
from tests.support.hostile import BODIES
from tests.support.wire import connected

GOOD_CLIENTS, PAUSE_SECONDS = 4, 0.01


def longest_turn(path: Path) -> dict[str, float]:
    """The longest turn since the last call, in milliseconds, on the clock and of CPU."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        told: dict[str, float] = json.loads(connection.makefile("rb").read())
    return {name: 1000 * seconds for name, seconds in told.items()}


def send(url: str, name: str, seconds: float, statuses: "Queue[int]") -> None:
    """Send a hostile body again and again, in a process of its own; tells the statuses."""
    hostile = BODIES[name]
    body, headers = hostile.make(), {"Content-Type": hostile.media}
    if hostile.coding:
        headers["Content-Encoding"] = hostile.coding
    ends, sent = time.monotonic() + seconds, 0
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        while not sent or time.monotonic() < ends:
            sent += 1
            with suppress(httpx.TransportError):  # an early answer may come with a close
                answer = client.request(hostile.method, hostile.path, content=body, headers=headers)
                statuses.put(answer.status_code)


async def good_clients(gate: Service, goes_on: Callable[[], bool]) -> list[float]:
    """What each of the good clients' posts waited, in seconds, while something goes on."""
    waits = list[float]()

    async def post(number: int) -> None:
        async with connected(gate.url, 1) as [connection]:
            while goes_on():
                started = time.perf_counter()
                await connection.post({"signature": f"{number}-{time.time_ns()}", "payload": {"fee": 1}})
                waits.append(time.perf_counter() - started)
                await asyncio.sleep(PAUSE_SECONDS)

    await asyncio.gather(*map(post, range(GOOD_CLIENTS)))
    return waits


def measured(gate: Service, name: str, seconds: float) -> tuple[list[float], set[int]]:
    """What good clients waited beside a body, and how that was answered."""
    if name not in BODIES:
        ends = time.monotonic() + seconds
        return asyncio.run(good_clients(gate, lambda: time.monotonic() < ends)), set()
    statuses: Queue[int] = Queue()
    sender = Process(target=send, args=(gate.url, name, seconds, statuses), daemon=True)
    sender.start()
    waits = asyncio.run(good_clients(gate, sender.is_alive))
    found = set[int]()
    while not statuses.empty():
        found.add(statuses.get())
    return waits, found


def run(names: Sequence[str], seconds: float) -> None:
    """Print the table."""
    worst = {"seconds": 0.0, "cpu_seconds": 0.0}
    with tempfile.TemporaryDirectory(prefix="stalls-") as folder:
        path = Path(folder) / "watch"
        with service(*module("benchmarks.watched_gate", str(path))) as gate:
            print(f"{'milliseconds':44} {'stall':>8} {'of CPU':>8} {'p50':>8} {'p99':>8}  statuses")
            for name in ("calm", *(names or BODIES)):
                longest_turn(path)
                waits, statuses = measured(gate, name, seconds)
                turn, waited = longest_turn(path), times_ms(waits)
                times = turn["seconds"], turn["cpu_seconds"], waited["p50_ms"], waited["p99_ms"]
                told = " ".join(f"{milliseconds:8.1f}" for milliseconds in times)
                print(f"{name:44} {told}  {' '.join(map(str, sorted(statuses)))}", flush=True)
                worst = {kind: max(worst[kind], turn[kind]) for kind in worst}
    print(f"worst: {worst['seconds']:.1f} ms, {worst['cpu_seconds']:.1f} ms of CPU")


def main() -> None:
    """Run it as the arguments say."""
    parser = options_of(__doc__, seconds=2.0)
    parser.add_argument("names", nargs="*", help="only these bodies")
    options = parser.parse_args()
    run(options.names, options.seconds)


if __name__ == "__main__":
    main()
