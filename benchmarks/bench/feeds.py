"""What one feed costs another: single posts beside blocks, and beside a feed that sends more than its share.

Each pair has a gate of its own. One feed sends single posts at a constant rate, each timed from when it was
due; their p99 with something beside them is divided by the p99 without, and which comes first changes from
pair to pair. For the feed beyond its share, "without" is one that sends as much as the share, and another
time one that sends just as much without a limit. These feeds send from a process of their own, so that the
one that times the posts always does the same.
"""

import asyncio
import http.client
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any
from urllib.parse import urlsplit

from benchmarks.bench.result import Result
from benchmarks.common.bodies import Body, pool_of
from benchmarks.common.constant_rate import Answers, Rate, post_at_rate
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.plan import ADDRESSES, Plan
from benchmarks.common.results import say
from benchmarks.common.times import times_ms
from tests.support.payloads import Payloads, payload_of
from tests.support.processes import wait_until

# At 100 a second each post would be as long after one of the feed beside, which sends 100 or 300.
POSTS_A_SECOND, CONNECTIONS, WARM_UP_SECONDS = 97, 8, 3.0
FEED, BLOCK_FEED, LIMITED_FEED, FREE_FEED = "helius-a", "quicknode-b", "limited", "free"
BLOCK_TRANSACTIONS, BLOCK_EVERY_SECONDS = 1000, 1.0
BLOCK_P99_BOUND, BACK_WITHIN_MIB, BACK_SECONDS = 2.0, 5.0, 60.0
# The share of the limited feed, and what it sends; both in transactions a second.
SHARE, SENT = 100, 300
WITHIN, WITHOUT = f"with {SHARE}/s beside", f"with {SENT}/s beside, no limit"
# How much the p99 of a feed may differ that ought not to notice the other.
UNCHANGED = 1.25

Figures = dict[str, Any]
Measured = Callable[[], Awaitable[Figures]]


def block(pairs: int, seconds: float) -> list[Result]:
    """Single posts, and a block of a thousand transactions every second beside them."""
    [body] = pool_of(Plan("block", batch_items=BLOCK_TRANSACTIONS, form="block"), 1, seed=time.time_ns())
    taken = []
    for number in range(pairs):
        with tidegate() as gate:
            taken.append(asyncio.run(_beside_blocks(gate, number, 2 * seconds, body)))
    size, over = len(body.data) / 1e6, [one["mib_after"] - one["mib_before"] for one in taken]
    work = f"single posts, {POSTS_A_SECOND}/s, a block of 1,000 ({size:.1f} MB) a second beside"
    told = (
        "{mib_before:.1f} MiB before, {mib_last:.1f} with the last block, "
        "{mib_after:.1f} after {back_seconds:.1f} s more"
    )
    remark = told.format(**taken[0])
    resident = f"{work}: resident memory of the gate afterwards, over that before"
    return [
        _p99(work, "alone", BLOCK_P99_BOUND, taken),
        Result(resident, "—", "at most", BACK_WITHIN_MIB, "MiB", over, {"pairs": taken}, remark),
    ]


def limit(pairs: int, seconds: float) -> list[Result]:
    """Single posts of one feed, and another that sends three times its share beside them."""
    taken = []
    for number in range(pairs):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(f"[feeds.{LIMITED_FEED}]\ntransactions_per_second = {SHARE}\n")
            file.flush()
            with tidegate(feeds_file=file.name) as gate:
                taken.append(asyncio.run(_beside_limited(gate, number, 2 * seconds)))
    work = f"single posts, {POSTS_A_SECOND}/s, a feed that sends {SENT}/s under a limit of {SHARE} beside"
    rates = [one["taken_a_second"] for one in taken]
    told = f"{taken[0]['refused_a_second']:.0f} a second refused with 429; none of the feed beside it"
    limited = f"{work}: taken of the limited feed, but for the {SHARE} that it has at first"
    most = SHARE * 1.01  # what its bucket is given while the last post is on its way
    return [
        _p99(work, WITHIN, UNCHANGED, taken),
        _p99(work, WITHOUT, UNCHANGED, taken),
        Result(limited, "—", "at most", most, "/s", rates, {"pairs": taken}, told),
    ]


def _p99(work: str, other: str, bound: float, taken: list[Figures]) -> Result:
    beside, without = taken[0]["beside"], taken[0][other]
    told = (
        f"{beside['p99_ms']:.1f} ms, {other} {without['p99_ms']:.1f}; "
        f"p50 {beside['p50_ms']:.1f} and {without['p50_ms']:.1f}"
    )
    ratios = [one["beside"]["p99_ms"] / one[other]["p99_ms"] for one in taken]
    posts = f"{work}: p99 of the posts"
    return Result(posts, f"p99 {other}", "at most", bound, "×", ratios, {"pairs": taken}, told)


async def _beside_blocks(gate: Service, number: int, seconds: float, body: Body) -> Figures:
    await _post(gate.url, FEED, POSTS_A_SECOND, _bodies(POSTS_A_SECOND, WARM_UP_SECONDS))
    before, figures = _resident_mib(gate), dict[str, float]()

    async def beside() -> Figures:
        blocks = asyncio.to_thread(_post_blocks, gate, body, seconds, number)
        times, _ = await asyncio.gather(_times(gate, seconds), blocks)
        last, ended = _resident_mib(gate), time.monotonic()
        wait_until(lambda: _resident_mib(gate) <= before + BACK_WITHIN_MIB, BACK_SECONDS, 0.1)
        figures.update(mib_before=before, mib_last=last, back_seconds=time.monotonic() - ended)
        figures.update(mib_after=_resident_mib(gate))
        return times

    return await _in_turn(number, {"alone": lambda: _times(gate, seconds), "beside": beside}) | figures


async def _beside_limited(gate: Service, number: int, seconds: float) -> Figures:
    figures = dict[str, float]()
    with ProcessPoolExecutor(1, get_context("spawn")) as loader:

        async def beside(feed: str, per_second: int, seconds: float) -> Figures:
            run = partial(_post_apart, gate.url, feed, per_second, _bodies(per_second, seconds))
            other = asyncio.get_running_loop().run_in_executor(loader, run)
            times, answers = await asyncio.gather(_times(gate, seconds), other)
            if feed == LIMITED_FEED:
                took = max(due + answered for due, answered in answers.calls) - min(answers.calls)[0]
                figures["taken_a_second"] = (answers.items["accepted"] - SHARE) / took
                figures["refused_a_second"] = answers.statuses[429] / took
            else:
                _check(answers)
            return times

        await beside(FREE_FEED, SENT, WARM_UP_SECONDS)
        sides = {
            "beside": partial(beside, LIMITED_FEED, SENT, seconds),
            WITHIN: partial(beside, FREE_FEED, SHARE, seconds),
            WITHOUT: partial(beside, FREE_FEED, SENT, seconds),
        }
        return await _in_turn(number, sides) | figures


async def _in_turn(number: int, sides: Mapping[str, Measured]) -> Figures:
    """Measure all, the one first that was last in the pair before."""
    taken = {name: await sides[name]() for name in sorted(sides, reverse=number % 2 == 1)}
    for name, one in taken.items():
        say(f"  {name}: p50 {one['p50_ms']:.2f} ms  p99 {one['p99_ms']:.2f} ms")
    return taken


async def _times(gate: Service, seconds: float) -> Figures:
    """Post singles, all of which have to be accepted, and return how long their answers took."""
    answers = await _post(gate.url, FEED, POSTS_A_SECOND, _bodies(POSTS_A_SECOND, seconds))
    _check(answers)
    return times_ms([took for _, took in answers.calls])


def _check(answers: Answers) -> None:
    """Raise if one was not accepted."""
    if set(answers.statuses) != {200} or answers.items["accepted"] != len(answers.calls):
        raise SystemExit(f"not all accepted: {answers.statuses}, {answers.items}")


def _bodies(per_second: int, seconds: float) -> list[bytes]:
    """Make the bodies of a load. It takes 0.2 ms each, in which no answer of another load would be timed."""
    return [payload_of(item) for item in Payloads(time.time_ns()).items(int(per_second * seconds))]


async def _post(url: str, feed: str, per_second: int, bodies: Sequence[bytes]) -> Answers:
    """Post real transactions one by one, each connection every eighth of them."""
    answers = Answers()
    await post_at_rate(url, bodies, Rate(per_second, [feed], CONNECTIONS, "documents"), answers)
    return answers


def _post_apart(url: str, feed: str, per_second: int, bodies: Sequence[bytes]) -> Answers:
    """Post from a process of its own."""
    return asyncio.run(_post(url, feed, per_second, bodies))


def _post_blocks(gate: Service, body: Body, seconds: float, number: int) -> None:
    """Post a block with fresh signatures every second, all of which have to be accepted."""
    place, begins = urlsplit(gate.url), time.monotonic()
    connection = http.client.HTTPConnection(str(place.hostname), place.port)
    for sent in range(int(seconds / BLOCK_EVERY_SECONDS)):
        body.renew(1 + number * int(seconds) + sent)
        time.sleep(max(0.0, begins + sent * BLOCK_EVERY_SECONDS - time.monotonic()))
        connection.request("POST", ADDRESSES["block"] + BLOCK_FEED, body.data)
        answer = connection.getresponse().read()
        if json.loads(answer).get("accepted") != BLOCK_TRANSACTIONS:
            raise SystemExit(f"a block was not accepted: {answer[:300]!r}")
    connection.close()


def _resident_mib(gate: Service) -> float:
    return gate.resident()["gate"] / 2**20
