"""The longest turn of the event loop under every hostile body, and what good clients see beside.

    python -m benchmarks.stalls [NAME…]

A gate whose event loop is watched gets each body of `tests/support/hostile.py` in turn, one after another
without a pause for two seconds, while four good clients post single transactions. For each body it prints the
longest turn of the loop (on the clock, and of CPU: the clock is longer when somebody else has the
processor), and how long the good clients waited. The last line is the worst of all.
"""

import argparse
import asyncio
import json
import socket
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import Process, Queue
from pathlib import Path
from statistics import quantiles

import httpx

from benchmarks.services import Service, module, service
from tests.support.hostile import BODIES

GOOD_CLIENTS, SECONDS, PAUSE_SECONDS = 4, 2.0, 0.01


def longest(path: Path) -> dict[str, float]:
    """The longest turn since the last call, in milliseconds, on the clock and of CPU."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        told: dict[str, float] = json.loads(connection.makefile("rb").read())
    return {name: 1000 * seconds for name, seconds in told.items()}


async def post_good(client: httpx.AsyncClient, name: str, until: asyncio.Event, waits: list[float]) -> None:
    """Post one new transaction after another."""
    number, headers = 0, {"Content-Type": "application/json"}
    while not until.is_set():
        number += 1
        body = b'{"signature":"%b-%d","payload":{"fee":1}}' % (name.encode(), number)
        started = time.perf_counter()
        await client.post("/transactions", content=body, headers=headers)
        waits.append(time.perf_counter() - started)
        await asyncio.sleep(PAUSE_SECONDS)


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


async def measure(gate: Service, sender: Process | None, seconds: float) -> list[float]:
    """What good clients waited, in seconds, while somebody else sends, or for so long."""
    waits, until = list[float](), asyncio.Event()
    async with httpx.AsyncClient(base_url=gate.url, trust_env=False, timeout=60) as client:
        names = [f"{time.time_ns()}-{n}" for n in range(GOOD_CLIENTS)]
        tasks = [asyncio.create_task(post_good(client, name, until, waits)) for name in names]
        ends = time.monotonic() + seconds
        while sender.is_alive() if sender else time.monotonic() < ends:  # noqa: ASYNC110  it is a process
            await asyncio.sleep(PAUSE_SECONDS)
        until.set()
        await asyncio.gather(*tasks)
    return waits


def measured(gate: Service, name: str, seconds: float) -> tuple[list[float], set[int]]:
    """What good clients waited beside a body, and how that was answered."""
    if name not in BODIES:
        return asyncio.run(measure(gate, None, seconds)), set()
    statuses: Queue[int] = Queue()
    sender = Process(target=send, args=(gate.url, name, seconds, statuses), daemon=True)
    sender.start()
    waits = asyncio.run(measure(gate, sender, seconds))
    found = set[int]()
    while not statuses.empty():
        found.add(statuses.get())
    return waits, found


def row(name: str, found: dict[str, float], waits: Sequence[float], statuses: set[int]) -> str:
    """One line of the table."""
    cuts = quantiles(waits, n=100)
    times = (
        f"{found['seconds']:8.1f} {found['cpu_seconds']:8.1f} {1000 * cuts[49]:8.1f} {1000 * cuts[98]:8.1f}"
    )
    return f"{name:44} {times}  {' '.join(map(str, sorted(statuses)))}"


def run(names: Sequence[str], seconds: float) -> None:
    """Print the table."""
    chosen = names or list(BODIES)
    worst = {"seconds": 0.0, "cpu_seconds": 0.0}
    with tempfile.TemporaryDirectory(prefix="stalls-") as folder:
        path = Path(folder) / "watch"
        with service(*module("benchmarks.watched_gate"), str(path)) as gate:
            print(f"{'milliseconds':44} {'stall':>8} {'of CPU':>8} {'p50':>8} {'p99':>8}  statuses")
            for name in ("calm", *chosen):
                longest(path)
                waits, statuses = measured(gate, name, seconds)
                found = longest(path)
                print(row(name, found, waits, statuses), flush=True)
                worst = {kind: max(worst[kind], found[kind]) for kind in worst}
    print(f"worst: {worst['seconds']:.1f} ms, {worst['cpu_seconds']:.1f} ms of CPU")


def main() -> None:
    """Run it as the arguments say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="only these bodies")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each is sent")
    arguments = parser.parse_args()
    run(arguments.names, arguments.seconds)


if __name__ == "__main__":
    main()
