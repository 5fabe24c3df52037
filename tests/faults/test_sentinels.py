"""Sentinels replace a primary that lives: the gate follows, and believes nothing that a replaced one says."""

import asyncio
import logging
import time

import pytest

from tests.support.acknowledged import acknowledged, assert_honest, assert_latest, lost_of
from tests.support.followed_failovers import (
    BUSY_SECONDS,
    KEEPING,
    READY_SECONDS,
    follow,
    serves,
    under_load,
    until,
)
from tests.support.gate import gate_process
from tests.support.sentinels import ANOTHER_PASSWORD, Watched
from tests.support.steady_load import Steady

pytestmark = pytest.mark.slow

log = logging.getLogger(__name__)  # `--log-cli-level=info` shows the figures


async def _assert_none_of_a_stale_primary(watched: Watched, load: Steady, new: int) -> None:
    """Nothing acknowledged is lost, but for what was accepted before another server became the primary.

    A gate that had nothing to do with the old one is asked.
    """
    promoted_ms, told = watched.promoted_ms(new), acknowledged(load)
    with gate_process(store_url=watched.url, **KEEPING) as gate:
        lost = await lost_of(gate, told)
        assert [post for post in lost if post.first_seen_ms >= promoted_ms] == []
        assert_latest(lost, told, promoted_ms)
        await assert_honest(gate, watched, [load], lost)
    log.info("%d acknowledged, %d lost, %d refused", len(told), len(lost), len(load.failed()))


@pytest.mark.parametrize(
    ("deadline_seconds", "is_demoted"),
    [
        (1, False),
        pytest.param(1, True, marks=pytest.mark.long),
        pytest.param(30, True, marks=pytest.mark.long),
    ],
)
async def test_a_primary_that_hung_and_comes_back_after_it_was_replaced_is_believed_no_more(
    watched: Watched, deadline_seconds: int, is_demoted: bool
) -> None:
    """With the long deadline, what was sent to it before is still under way, and is carried out there.

    Some ten seconds later a sentinel makes it a replica; until then it takes itself for the primary.
    """
    load = Steady("hung")
    with gate_process(store_url=watched.url, store_deadline_seconds=deadline_seconds, **KEEPING) as gate:
        async with under_load(gate, load):
            old = watched.primary()
            watched.pause_server(old)
            await until(lambda: watched.primary() not in (old, -1))
            watched.resume_server(old)
            new = await follow(watched, gate, load, old, READY_SECONDS if is_demoted else BUSY_SECONDS)
            if is_demoted:
                await asyncio.to_thread(watched.settle)
    await _assert_none_of_a_stale_primary(watched, load, new)


@pytest.mark.long
async def test_a_primary_that_only_the_sentinels_cannot_reach_is_left_before_it_is_replaced(
    watched: Watched,
) -> None:
    """The gate's connection to it stands, and it takes writes all the while."""
    load = Steady("cut")
    with gate_process(store_url=watched.url, **KEEPING) as gate:
        async with under_load(gate, load):
            old = watched.primary()
            watched.cut_from_sentinels(old)
            new = await follow(watched, gate, load, old, READY_SECONDS)
        with watched.client(old, password=ANOTHER_PASSWORD) as client:
            assert client.info("replication")["role"] == "master"
    await _assert_none_of_a_stale_primary(watched, load, new)


@pytest.mark.long
async def test_a_failover_that_somebody_orders_costs_nothing_that_was_acknowledged_after_it(
    watched: Watched,
) -> None:
    load = Steady("ordered")
    with gate_process(store_url=f"{watched.url}?protocol=3", **KEEPING) as gate:
        async with under_load(gate, load):
            old = watched.primary()
            watched.fail_over()
            new = await follow(watched, gate, load, old, READY_SECONDS)
            await asyncio.to_thread(watched.settle)
    await _assert_none_of_a_stale_primary(watched, load, new)


async def test_a_primary_that_comes_back_empty_before_it_is_replaced_takes_nothing_that_is_lost_later(
    watched: Watched,
) -> None:
    """Nobody has replaced it yet, so it may stay; then what it had is gone, as after any crash."""
    load = Steady("back")
    with gate_process(store_url=watched.url, **KEEPING) as gate:
        async with under_load(gate, load):
            old, since = watched.primary(), time.monotonic()
            watched.kill_server(old)
            watched.restart_server(old)
            await until(gate.is_ready)
            await serves(load)
            await asyncio.to_thread(watched.settle)
            await serves(load)
        lost = await lost_of(gate, acknowledged(load))
        assert [post for post in lost if post.sent > since] == []
        await assert_honest(gate, watched, [load], lost)


@pytest.mark.long
async def test_without_a_majority_of_the_sentinels_nothing_is_acknowledged_until_there_is_one_again(
    watched: Watched,
) -> None:
    load = Steady("majority")
    with gate_process(store_url=watched.url, **KEEPING) as gate:
        async with under_load(gate, load):
            watched.pause_sentinels(0, 1)
            await until(lambda: not gate.is_ready())
            refused = await load.post(gate.url)
            assert refused.status == 503
            assert "sentinels" in refused.detail
            old = watched.primary_of(2)
            watched.kill_server(old)
            watched.resume_sentinels()
            new = await follow(watched, gate, load, old, READY_SECONDS)
    await _assert_none_of_a_stale_primary(watched, load, new)
