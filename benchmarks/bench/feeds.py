"""What one feed costs another: single posts beside blocks, and beside a feed that sends more than its share.

Each pair has a gate of its own. One feed sends single posts at a constant rate, each timed from when it was
due; their p99 with something beside them is divided by the p99 without, and which comes first changes from
pair to pair.
"""

import asyncio
import http.client
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
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

POSTS_A_SECOND, CONNECTIONS, WARM_UP_SECONDS = 100, 8, 3.0
FEED, BLOCK_FEED, LIMITED_FEED = "helius-a", "quicknode-b", "limited"
BLOCK_TRANSACTIONS, BLOCK_EVERY_SECONDS = 1000, 1.0
BLOCK_P99_BOUND, BACK_WITHIN_MIB, BACK_SECONDS = 2.0, 5.0, 60.0
# The share of the limited feed, and what it sends; both in transactions a second.
SHARE, SENT = 100, 300
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
        _p99(work, BLOCK_P99_BOUND, taken),
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
        _p99(work, UNCHANGED, taken),
        Result(limited, "—", "at most", most, "/s", rates, {"pairs": taken}, told),
    ]


def _p99(work: str, bound: float, taken: list[Figures]) -> Result:
    beside, alone = taken[0]["beside"], taken[0]["alone"]
    told = (
        f"{beside['p99_ms']:.1f} ms, alone {alone['p99_ms']:.1f}; "
        f"p50 {beside['p50_ms']:.1f} and {alone['p50_ms']:.1f}"
    )
    ratios = [one["beside"]["p99_ms"] / one["alone"]["p99_ms"] for one in taken]
    posts = f"{work}: p99 of the posts"
    return Result(posts, "p99 alone", "at most", bound, "×", ratios, {"pairs": taken}, told)


async def _beside_blocks(gate: Service, number: int, seconds: float, body: Body) -> Figures:
    await _post(gate, FEED, POSTS_A_SECOND, _bodies(POSTS_A_SECOND, WARM_UP_SECONDS))
    before, figures = _resident_mib(gate), dict[str, float]()

    async def beside() -> Figures:
        blocks = asyncio.to_thread(_post_blocks, gate, body, seconds, number)
        times, _ = await asyncio.gather(_times(gate, seconds), blocks)
        last, ended = _resident_mib(gate), time.monotonic()
        wait_until(lambda: _resident_mib(gate) <= before + BACK_WITHIN_MIB, BACK_SECONDS, 0.1)
        figures.update(mib_before=before, mib_last=last, back_seconds=time.monotonic() - ended)
        figures.update(mib_after=_resident_mib(gate))
        return times

    return await _in_turn(number, lambda: _times(gate, seconds), beside) | figures


async def _beside_limited(gate: Service, number: int, seconds: float) -> Figures:
    await _post(gate, FEED, POSTS_A_SECOND, _bodies(POSTS_A_SECOND, WARM_UP_SECONDS))
    figures = dict[str, float]()

    async def beside() -> Figures:
        bodies = _bodies(SENT, seconds)
        limited_posts = _post(gate, LIMITED_FEED, SENT, bodies)
        times, limited = await asyncio.gather(_times(gate, seconds), limited_posts)
        took = max(due + answered for due, answered in limited.calls) - min(limited.calls)[0]
        figures["taken_a_second"] = (limited.items["accepted"] - SHARE) / took
        figures["refused_a_second"] = limited.statuses[429] / took
        return times

    return await _in_turn(number, lambda: _times(gate, seconds), beside) | figures


async def _in_turn(number: int, alone: Measured, beside: Measured) -> Figures:
    """Measure both, the one first that was second in the pair before."""
    sides = {"alone": alone, "beside": beside}
    taken = {name: await sides[name]() for name in sorted(sides, reverse=number % 2 == 1)}
    for name, one in taken.items():
        say(f"  {name}: p50 {one['p50_ms']:.2f} ms  p99 {one['p99_ms']:.2f} ms")
    return taken


async def _times(gate: Service, seconds: float) -> Figures:
    """Post singles, all of which have to be accepted, and return how long their answers took."""
    answers = await _post(gate, FEED, POSTS_A_SECOND, _bodies(POSTS_A_SECOND, seconds))
    if set(answers.statuses) != {200} or answers.items["accepted"] != len(answers.calls):
        raise SystemExit(f"not all accepted: {answers.statuses}, {answers.items}")
    return times_ms([took for _, took in answers.calls])


def _bodies(per_second: int, seconds: float) -> list[bytes]:
    """Make the bodies of a load. It takes 0.2 ms each, in which no answer of another load would be timed."""
    return [payload_of(item) for item in Payloads(time.time_ns()).items(int(per_second * seconds))]


async def _post(gate: Service, feed: str, per_second: int, bodies: Sequence[bytes]) -> Answers:
    """Post real transactions one by one, each connection every eighth of them."""
    answers = Answers()
    await post_at_rate(gate.url, bodies, Rate(per_second, [feed], CONNECTIONS, "documents"), answers)
    return answers


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
