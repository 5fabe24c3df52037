"""A primary is killed: sentinels replace it, the gate follows, and tells what was lost with it."""

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.acknowledged import acknowledged, assert_honest, assert_latest, lost_of
from tests.support.followed_failovers import (
    BUSY_SECONDS,
    FULL_LOAD,
    KEEPING,
    POSTS_A_SECOND,
    READY_SECONDS,
    follow,
    serves,
    under_load,
    until,
)
from tests.support.gate import GateProcess, gate_process
from tests.support.sentinels import Secrets, Watched, watched_servers
from tests.support.steady_load import Post, Steady
from tests.support.tls import make_tls
from tests.support.worker_gates import figure

pytestmark = pytest.mark.slow

TEN_KILLS_SECONDS = 1500
log = logging.getLogger(__name__)  # `--log-cli-level=info` shows the figures


async def _kill_and_follow(
    watched: Watched,
    gate: GateProcess,
    load: Steady,
    lost_before: Sequence[Post] = (),
    most_seconds: float = BUSY_SECONDS,
) -> list[Post]:
    """Kill the primary, wait until the gate serves again, which it has to in time; return what was lost.

    What was lost at earlier kills may be among the last that were accepted, and is left out.
    """
    old, killed_ms = watched.primary(), time.time() * 1000
    watched.kill_server(old)
    await follow(watched, gate, load, old, most_seconds)
    gone = {post.signature for post in lost_before}
    told = [post for post in acknowledged(load) if post.signature not in gone]
    before = [post for post in told if post.first_seen_ms < killed_ms]
    lost = await lost_of(gate, before[-5 * POSTS_A_SECOND :])
    assert_latest(lost, before, killed_ms)
    return lost


def _told_lost(gate: GateProcess) -> float:
    """How many transactions the gate says were lost, so far."""
    return figure(gate, "store_lost_entries_total", map="transactions") or 0


@pytest.mark.parametrize(
    ("kills", "most_seconds"),
    [
        (3, BUSY_SECONDS),
        pytest.param(10, READY_SECONDS, marks=[pytest.mark.long, pytest.mark.timeout(TEN_KILLS_SECONDS)]),
    ],
)
async def test_killed_again_and_again_under_load_a_primary_is_replaced_and_no_answer_is_a_lie(
    kills: int, most_seconds: float
) -> None:
    """Every fourth one has no replica that follows it any more: what is lost is told by the gate."""
    lost: list[Post] = []
    load = Steady("killed")
    with watched_servers("redis") as watched, gate_process(store_url=watched.url, **KEEPING) as gate:
        async with under_load(gate, load):
            for number in range(kills):
                old, told_lost = watched.primary(), _told_lost(gate)
                if number % 4 == 2:
                    watched.cut_from_replicas(old)
                    await serves(load)
                gone = await _kill_and_follow(watched, gate, load, lost, most_seconds)
                await until(lambda: _told_lost(gate) - told_lost >= len(gone))  # noqa: B023  awaited here
                log.info("kill %d: %d lost, %d told", number, len(gone), _told_lost(gate) - told_lost)
                assert bool(gone) or number % 4 != 2
                lost += gone
                # As after a crash, it may take itself for the primary, without any data.
                watched.restart_server(old, None if number % 4 == 1 else watched.primary())
                await asyncio.to_thread(watched.settle)
        told = acknowledged(load)
        assert await lost_of(gate, told) == lost
        await assert_honest(gate, watched, [load], lost)
    log.info("%d acknowledged, %d lost, %d refused", len(told), len(lost), len(load.failed()))


@pytest.mark.long
async def test_a_killed_primary_takes_with_it_what_no_replica_had_and_nothing_else(watched: Watched) -> None:
    load = Steady("lag")
    with gate_process(store_url=watched.url, **KEEPING) as gate:
        async with under_load(gate, load):
            old, cut_ms = watched.primary(), time.time() * 1000
            watched.cut_from_replicas(old)
            await serves(load)
            lost = await _kill_and_follow(watched, gate, load, most_seconds=READY_SECONDS)
        assert len(lost) >= FULL_LOAD
        assert min(post.first_seen_ms for post in lost) >= cut_ms
        told = acknowledged(load)
        assert await lost_of(gate, told) == lost
        await assert_honest(gate, watched, [load], lost)
        assert figure(gate, "store_setbacks_total", kind="set_back") == 1
        assert _told_lost(gate) >= len(lost)
    log.info("%d acknowledged, %d lost", len(told), len(lost))


@pytest.mark.long
async def test_a_primary_that_goes_with_the_sentinel_of_its_machine_is_replaced_as_soon(
    watched: Watched,
) -> None:
    """The URL names the sentinels by other addresses than they call themselves by."""
    load = Steady("machine")
    with gate_process(store_url=watched.url.replace("127.0.0.1", "localhost"), **KEEPING) as gate:
        async with under_load(gate, load):
            watched.kill_sentinel(0)
            lost = await _kill_and_follow(watched, gate, load, most_seconds=READY_SECONDS)
        assert await lost_of(gate, acknowledged(load)) == lost
        await assert_honest(gate, watched, [load], lost)


@pytest.mark.long
async def test_where_a_replica_has_to_confirm_a_killed_primary_takes_nothing_acknowledged_with_it(
    watched: Watched,
) -> None:
    load = Steady("confirmed")
    with gate_process(store_url=watched.url, store_min_replicas=1, **KEEPING) as gate:
        async with under_load(gate, load):
            watched.cut_from_replicas(watched.primary())
            told = "it is stored, but too few replicas"
            await until(lambda: any(post.detail.startswith(told) for post in load.posts))
            assert await _kill_and_follow(watched, gate, load, most_seconds=READY_SECONDS) == []
        assert await lost_of(gate, acknowledged(load)) == []
        await assert_honest(gate, watched, [load], [])


@pytest.mark.long
async def test_with_tls_and_passwords_of_both_each_worker_of_a_gate_follows_the_primary(
    tmp_path: Path,
) -> None:
    secrets = Secrets("of-the-servers", "of-the-sentinels", make_tls(tmp_path))
    load = Steady("tls")
    with (
        watched_servers("redis", secrets) as watched,
        gate_process(store_url=watched.url, workers=2, **KEEPING) as gate,
    ):
        async with under_load(gate, load):
            old = watched.primary()
            watched.kill_server(old)
            await follow(watched, gate, load, old, READY_SECONDS)
        assert "of-the" not in gate.log.read_text()
        await assert_honest(gate, watched, [load], await lost_of(gate, acknowledged(load)))
