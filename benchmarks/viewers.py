"""What do those who look at the live page cost a gate, and how old are the figures they see?

One gate is under a constant load of three feeds. Turns without anybody, with one and with `--viewers` viewers
follow one another, and the gate's CPU is counted in each; viewers read `GET /page/events` as browsers do.
Then Chromium shows the page while `GET /stats` is asked ten times a second: for how long has that said more
accepted transactions than the page shows? `--rate` are transactions delivered a second by all feeds.

    python -m benchmarks.viewers
"""

import math
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any

import httpx

from app.web.viewers import MOST_VIEWERS
from benchmarks.common.background import meanwhile, sampled
from benchmarks.common.constant_rate import posting, three_feeds
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.plan import FEEDS
from benchmarks.common.results import RESULTS, options_of, say, taken_here, write_json
from tests.support.browser import Page, browser_page

MOST_CPU_A_VIEWER, MOST_AGE_SECONDS = 0.02, 1.0
WARM_SECONDS, STATS_SECONDS, LOOK_SECONDS = 5.0, 0.1, 0.17
SHOWN = "document.querySelector('[data-figure=accepted]').innerText"

Moment = tuple[float, int]
"""When a figure was read, by `time.monotonic`, and how many transactions were accepted."""


@contextmanager
def looking(gate: Service, viewers: int) -> Iterator[None]:
    """Have so many viewers read events while the block runs."""
    with ExitStack() as stack:
        for _ in range(viewers):
            stack.enter_context(meanwhile(lambda stop: look(gate, stop)))
        time.sleep(1)
        yield


def look(gate: Service, stop: Event) -> None:
    """Read events until told to stop."""
    with gate.client() as client, client.stream("GET", "/page/events") as response:
        for _ in response.iter_raw():
            if stop.is_set():
                return


def cpu_shares(gate: Service, viewers: int, seconds: float, rounds: int) -> dict[int, list[float]]:
    """The gate's CPU, of one core, in each turn, by how many looked."""
    shares: dict[int, list[float]] = {0: [], 1: [], viewers: []}
    target = gate.target()
    for number in range(rounds):
        for count in sorted(shares, reverse=bool(number % 2)):
            with looking(gate, count):
                before, begun = target.cpu_seconds(), time.monotonic()
                time.sleep(seconds)
                spent = target.spent_since(before)["gate"] / (time.monotonic() - begun)
            shares[count].append(spent)
            say(f"{count} viewers: {spent:.3f} of a core")
    return shares


def ages(gate: Service, seconds: float) -> list[float]:
    """Seconds for which `/stats` has said more than the page shows, 0 while they agree; again and again."""
    with (
        tempfile.TemporaryDirectory(prefix="viewers-", ignore_cleanup_errors=True) as folder,
        browser_page(Path(folder)) as page,
    ):
        page.open(f"{gate.url}/")
        with gate.client() as client, sampled(lambda: accepted(client), STATS_SECONDS) as moments:
            time.sleep(WARM_SECONDS)
            with sampled(lambda: shown(page), LOOK_SECONDS) as seen:
                time.sleep(seconds)
    return [max(0.0, at - more_since(moments, amount)) for at, amount in seen]


def accepted(client: httpx.Client) -> Moment:
    """Ask how many transactions were accepted."""
    answer: dict[str, Any] = client.get("/stats").json()
    return time.monotonic(), answer["ingest"]["accepted"]


def shown(page: Page) -> Moment:
    """Read how many the page says were accepted; what is read comes after the moment that is noted."""
    at = time.monotonic()
    return at, int(str(page.evaluate(SHOWN)).replace(",", ""))


def more_since(moments: list[Moment], amount: int) -> float:
    """The first moment at which `/stats` said more; the end of time if it never did."""
    place = bisect_right(moments, amount, key=lambda one: one[1])
    return moments[place][0] if place < len(moments) else math.inf


def main() -> int:
    """Measure; 0 when a viewer costs no more than wanted, and figures are no older."""
    options = options_of(__doc__, viewers=20, rate=2000.0, seconds=10.0, rounds=4).parse_args()
    if options.viewers > MOST_VIEWERS:
        raise SystemExit(f"a gate takes {MOST_VIEWERS} viewers at most")
    with tidegate() as gate, posting(gate.url, three_feeds(options.rate / len(FEEDS))):
        time.sleep(WARM_SECONDS)
        shares = cpu_shares(gate, options.viewers, options.seconds, options.rounds)
        seen = sorted(ages(gate, 2 * options.seconds))
    cpu = {count: median(each) for count, each in shares.items()}
    a_viewer = (cpu[options.viewers] - cpu[0]) / options.viewers
    figures = {
        "transactions_per_second": options.rate,
        "gate_cpu_of_a_core": {str(count): each for count, each in shares.items()},
        "median_gate_cpu_of_a_core": {str(count): each for count, each in cpu.items()},
        "cpu_a_viewer_to_the_gates": a_viewer / cpu[0],
        "age_seconds": {"p50": median(seen), "p95": seen[int(0.95 * len(seen))], "most": seen[-1]},
    }
    write_json(RESULTS / "viewers.json", figures | taken_here())
    print(f"CPU of the gate, of a core, by viewers: {cpu}")
    print(f"each of {options.viewers} costs {a_viewer / cpu[0]:.2%} of the gate's CPU")
    print(f"age of what the page shows, in seconds: {figures['age_seconds']}")
    return int(a_viewer > MOST_CPU_A_VIEWER * cpu[0] or seen[-1] > MOST_AGE_SECONDS)


if __name__ == "__main__":
    raise SystemExit(main())
