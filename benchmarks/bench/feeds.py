"""What one feed costs another: single posts beside blocks, and beside a feed that sends more than its share.

Each pair has a gate of its own. One feed sends single posts at a constant rate, each timed from when it was
due; their p99 with something beside them is divided by the p99 without, and which comes first changes from
pair to pair. For the feed beyond its share, "without" is one that sends as much as the share, and another
time one that sends just as much without a limit. What is beside is sent by a process of its own, so that the
one that times the posts always does the same.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.bench.result import Result
from benchmarks.common.bodies import pool_of
from benchmarks.common.constant_rate import Answers, Rate, post_at_rate
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.plan import Plan, times_ms
from benchmarks.common.results import say
from benchmarks.common.turns import order
from tests.support.payloads import Payloads, payload_of
from tests.support.processes import wait_until

Figures = dict[str, float]
Pair = dict[str, Figures]

BLOCK = Plan("block", batch_items=1000, form="block")
BLOCK_P99_BOUND, BACK_WITHIN_MIB, BACK_SECONDS = 2.0, 5.0, 60.0
# The share of the limited feed, and what it sends; both in transactions a second.
SHARE, SENT = 100, 300
WITHIN, WITHOUT = f"with {SHARE}/s beside", f"with {SENT}/s beside, no limit"
# How much the p99 of a feed may differ that ought not to notice the other.
UNCHANGED, WARM_UP_SECONDS = 1.25, 3.0


# In the loader process: the bodies of the next load.
_prepared: list[bytes] = []


def singles(feed: str, per_second: float) -> Rate:
    """Real transactions one by one, each connection every eighth of them."""
    return Rate(per_second, [feed], connections=8, form="documents")


# At 100 a second each post would be as long after one of the feed beside, which sends 100 or 300.
POSTS = singles("helius-a", 97)
BLOCKS = Rate(1.0, ["quicknode-b"], connections=1, form="block")
LIMITED, FREE = singles("limited", SENT), singles("free", SENT)


def block(pairs: int, seconds: float) -> list[Result]:
    """Single posts, and a block of a thousand transactions every second beside them."""
    taken = _pairs(pairs, 2 * seconds, {"alone": None, "beside": BLOCKS})
    besides, size = [one["beside"] for one in taken], len(_bodies(BLOCKS, 1)[0]) / 1e6
    over = [one["mib_after"] - one["mib_before"] for one in besides]
    work = f"single posts, {POSTS.per_second}/s, a block of 1,000 ({size:.1f} MB) a second beside"
    told = (
        "{mib_before:.1f} MiB before, {mib_last:.1f} with the last block, "
        "{mib_after:.1f} after {back_seconds:.1f} s more"
    )
    remark = told.format(**besides[0])
    resident = f"{work}: resident memory of the gate afterwards, over that before"
    return [
        _p99(work, "alone", BLOCK_P99_BOUND, taken),
        Result(resident, "—", "at most", BACK_WITHIN_MIB, "MiB", over, {"pairs": taken}, remark),
    ]


def limit(pairs: int, seconds: float) -> list[Result]:
    """Single posts of one feed, and another that sends three times its share beside them."""
    sides = {"beside": LIMITED, WITHIN: singles("free", SHARE), WITHOUT: FREE}
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(f"[feeds.{LIMITED.sources[0]}]\ntransactions_per_second = {SHARE}\n")
        file.flush()
        taken = _pairs(pairs, 2 * seconds, sides, feeds_file=file.name)
    work = f"single posts, {POSTS.per_second}/s, a feed that sends {SENT}/s under a limit of {SHARE} beside"
    rates = [one["beside"]["taken_a_second"] for one in taken]
    refused = taken[0]["beside"]["refused_a_second"]
    remark = f"{refused:.0f} a second refused with 429; none of the feed beside it"
    limited = f"{work}: taken of the limited feed, but for the {SHARE} that it has at first"
    most = SHARE * 1.01  # what its bucket is given while the last post is on its way
    return [
        _p99(work, WITHIN, UNCHANGED, taken),
        _p99(work, WITHOUT, UNCHANGED, taken),
        Result(limited, "—", "at most", most, "/s", rates, {"pairs": taken}, remark),
    ]


def _p99(work: str, other: str, bound: float, taken: list[Pair]) -> Result:
    beside, without = taken[0]["beside"], taken[0][other]
    remark = (
        f"{beside['p99_ms']:.1f} ms, {other} {without['p99_ms']:.1f}; "
        f"p50 {beside['p50_ms']:.1f} and {without['p50_ms']:.1f}"
    )
    ratios = [one["beside"]["p99_ms"] / one[other]["p99_ms"] for one in taken]
    posts = f"{work}: p99 of the posts"
    return Result(posts, f"p99 {other}", "at most", bound, "×", ratios, {"pairs": taken}, remark)


def _pairs(pairs: int, seconds: float, sides: Mapping[str, Rate | None], **settings: object) -> list[Pair]:
    """Time the posts with each feed beside, on a gate of its own each time."""
    taken = []
    for number in range(pairs):
        with tidegate(**settings) as gate, ProcessPoolExecutor(1, get_context("spawn")) as loader:
            posts = Posts(gate, loader)
            taken.append({name: posts.figures(seconds, sides[name]) for name in order(sides, number)})
        for name, one in taken[-1].items():
            say(f"  {name}: p50 {one['p50_ms']:.2f} ms  p99 {one['p99_ms']:.2f} ms")
    return taken


class Posts:
    """The single posts of one feed to a gate, and what is sent beside them by another process."""

    def __init__(self, gate: Service, loader: Executor) -> None:
        """Warm up."""
        self._gate, self._loader = gate, loader
        self.figures(WARM_UP_SECONDS, FREE)
        self._before = self._resident_mib()

    def figures(self, seconds: float, beside: Rate | None) -> Figures:
        """How long the posts took, and what a limited feed or one that sends blocks leaves.

        But for what the limited feed sends, every transaction has to be accepted.
        """
        if beside is None:
            return self._times(_bodies(POSTS, seconds))
        self._loader.submit(_prepare, beside, seconds).result()
        posts = _bodies(POSTS, seconds)
        other = self._loader.submit(_post_prepared, self._gate.url, beside)
        found = self._times(posts)
        if beside is LIMITED:
            return found | _taken(other.result())
        other.result().checked(are_new=True)
        return found | self._back() if beside is BLOCKS else found

    def _times(self, posts: Sequence[bytes]) -> Figures:
        return times_ms(post_at_rate(self._gate.url, posts, POSTS).checked(are_new=True).seconds())

    def _back(self) -> Figures:
        """Wait until the gate holds little more than before; resident memory, and how long that took."""
        last, ended = self._resident_mib(), time.monotonic()
        wait_until(lambda: self._resident_mib() <= self._before + BACK_WITHIN_MIB, BACK_SECONDS, 0.1)
        waited, after = time.monotonic() - ended, self._resident_mib()
        return {"mib_before": self._before, "mib_last": last, "mib_after": after, "back_seconds": waited}

    def _resident_mib(self) -> float:
        return self._gate.resident()["gate"] / 2**20


def _prepare(rate: Rate, seconds: float) -> None:
    _prepared[:] = _bodies(rate, seconds)


def _post_prepared(url: str, rate: Rate) -> Answers:
    return post_at_rate(url, _prepared, rate)


def _taken(answers: Answers) -> Figures:
    accepted, took = answers.items["accepted"] - SHARE, answers.span()
    return {"taken_a_second": accepted / took, "refused_a_second": answers.statuses[429] / took}


def _bodies(rate: Rate, seconds: float) -> list[bytes]:
    """Make the bodies of a load. It takes 0.2 ms each, in which no answer of another load would be timed."""
    count, seed = int(rate.per_second * seconds), time.time_ns()
    if rate.form == BLOCK.form:
        return [bytes(body.data) for body in pool_of(BLOCK, count, seed)]
    return [payload_of(item) for item in Payloads(seed).items(count)]
