"""The longest turn of the event loop under every hostile body, and what a good client sees beside.

    python -m benchmarks.stalls [NAME…]

A gate whose event loop is watched gets each body of `tests/support/hostile.py` in turn, one after another
without a pause for `--seconds`, while a good client posts 100 transactions a second over four connections.
For each body it prints the longest turn of the loop (on the clock, and of CPU: the clock is longer when
somebody else has the processor), and how long the good client waited. The last line is the worst of all.
"""

import json
import socket
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx

from benchmarks.common.constant_rate import ordinary, posting
from benchmarks.common.gates import module, service
from benchmarks.common.plan import times_ms
from benchmarks.common.results import options_of
from tests.support.hostile import BODIES

# As long as a body may take; a good client goes on for so long.
MOST_SECONDS = 60.0
# Nothing is sent beside the good client.
CALM = "calm"


def longest_turn(path: Path) -> dict[str, float]:
    """The longest turn since the last call, in milliseconds, on the clock and of CPU."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        told: dict[str, float] = json.loads(connection.makefile("rb").read())
    return {name: 1000 * seconds for name, seconds in told.items()}


def send(url: str, name: str, seconds: float) -> set[int]:
    """Send a hostile body again and again, in a process of its own, or nothing; how it was answered."""
    if name == CALM:
        time.sleep(seconds)
        return set()
    hostile, statuses = BODIES[name], set[int]()
    body, headers = hostile.make(), {"Content-Type": hostile.media}
    if hostile.coding:
        headers["Content-Encoding"] = hostile.coding
    ends = time.monotonic() + seconds
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        while True:
            with suppress(httpx.TransportError):  # an early answer may come with a close
                answer = client.request(hostile.method, hostile.path, content=body, headers=headers)
                statuses.add(answer.status_code)
            if time.monotonic() >= ends:
                return statuses


def main() -> None:
    """Print the table of all bodies, or of those asked for."""
    parser = options_of(__doc__, seconds=2.0)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these bodies")
    options = parser.parse_args()
    worst = {"seconds": 0.0, "cpu_seconds": 0.0}
    print(f"{'milliseconds':44} {'stall':>8} {'of CPU':>8} {'p50':>8} {'p99':>8}  statuses")
    with tempfile.TemporaryDirectory(prefix="stalls-") as folder, ProcessPoolExecutor(1) as pool:
        path = Path(folder, "watch")
        with service(*module("benchmarks.watched_gate", str(path))) as gate:
            for name in (CALM, *(options.names or BODIES)):
                longest_turn(path)
                with posting(gate.url, ordinary(MOST_SECONDS)) as answers:
                    statuses = pool.submit(send, gate.url, name, options.seconds).result()
                turn, waited = longest_turn(path), times_ms(answers.seconds())
                times = *turn.values(), waited["p50_ms"], waited["p99_ms"]
                told = " ".join(f"{milliseconds:8.1f}" for milliseconds in times)
                print(f"{name:44} {told}  {' '.join(map(str, sorted(statuses)))}", flush=True)
                worst = {kind: max(worst[kind], turn[kind]) for kind in worst}
    print(f"worst: {worst['seconds']:.1f} ms, {worst['cpu_seconds']:.1f} ms of CPU")


if __name__ == "__main__":
    main()
