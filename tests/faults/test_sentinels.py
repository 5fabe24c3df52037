"""Sentinels replace the primary: the gate follows, and believes nothing that a replaced one says."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.acknowledged import (
    acknowledged,
    assert_counted,
    assert_honest,
    assert_latest,
    lost_of,
)
from tests.support.gate import GateProcess, gate_process
from tests.support.processes import wait_until
from tests.support.sentinels import ANOTHER_PASSWORD, Secrets, Watched, watched_servers
from tests.support.steady_load import Post, Steady
from tests.support.tls import make_tls
from tests.support.worker_gates import figure

pytestmark = pytest.mark.slow

POSTS_A_SECOND = 100
PATIENCE_SECONDS = 120.0
TEN_KILLS_SECONDS = 1500
KEEPING: dict[str, object] = {
    "dedup_window_seconds": 600,
    "transaction_retention_seconds": 3600,
    "emergency_transaction_retention_seconds": 3600,
}
FULL_LOAD = 100  # posts that are accepted before something is broken
log = logging.getLogger(__name__)  # `--log-cli-level=info` shows the figures


@pytest.fixture
def watched() -> Iterator[Watched]:
    with watched_servers("valkey") as started:
        yield started


@asynccontextmanager
async def _under_load(gate: GateProcess, load: Steady) -> AsyncIterator[None]:
    """Post at a steady rate, and have been accepted for a while when the block begins.

    What the gate counts has to be what it has answered; it gets no posts but these in the block. It calls
    itself ready when it serves, but for the moment in which it learns that the store fails it once more.
    """
    async with load.running(gate.url, POSTS_A_SECOND):
        await _serves(load)
        yield
    await assert_counted(gate, load)
    assert len(load.served_while_unready()) < FULL_LOAD


async def _until(condition: Callable[[], bool]) -> None:
    assert await asyncio.to_thread(wait_until, condition, PATIENCE_SECONDS, 0.02)


async def _serves(load: Steady) -> None:
    """Wait until posts are accepted that are sent from now on."""
    began, since = time.monotonic(), len(load.posts)
    await _until(lambda: sum(p.status == 200 and p.sent > began for p in load.posts[since:]) >= FULL_LOAD)


async def _follow(watched: Watched, gate: GateProcess, load: Steady, old: int) -> int:
    """Wait until another server is the primary and the gate serves again; return that server's number."""
    await _until(lambda: watched.primary() not in (old, -1))
    new, named = watched.primary(), time.monotonic()
    await _until(gate.is_ready)
    since_named, since_promoted_ms = time.monotonic() - named, time.time() * 1000 - watched.promoted_ms(new)
    text = "%s: ready %.2f s after a majority of the sentinels named the new primary, which it was for %.2f s"
    log.info(text, load.name, since_named, since_promoted_ms / 1000)
    await _serves(load)
    return new


async def _kill_and_follow(
    watched: Watched, gate: GateProcess, load: Steady, lost_before: Sequence[Post] = ()
) -> list[Post]:
    """Kill the primary, wait until the gate serves again, and return what was lost.

    What was lost at earlier kills may be among the last that were accepted, and is left out.
    """
    old, killed_ms = watched.primary(), time.time() * 1000
    watched.kill_server(old)
    await _follow(watched, gate, load, old)
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
    "kills", [3, pytest.param(10, marks=[pytest.mark.long, pytest.mark.timeout(TEN_KILLS_SECONDS)])]
)
async def test_killed_again_and_again_under_load_a_primary_is_replaced_and_no_answer_is_a_lie(
    kills: int,
) -> None:
    """Every fourth one has no replica that follows it any more: what is lost is told by the gate."""
    lost: list[Post] = []
    load = Steady("killed")
    with watched_servers("redis") as watched, gate_process(store_url=watched.url, **KEEPING) as gate:
        async with _under_load(gate, load):
            for number in range(kills):
                old, told_lost = watched.primary(), _told_lost(gate)
                if number % 4 == 2:
                    watched.cut_from_replicas(old)
                    await _serves(load)
                gone = await _kill_and_follow(watched, gate, load, lost)
                await _until(lambda: _told_lost(gate) - told_lost >= len(gone))  # noqa: B023  awaited here
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


@pytest.mark.long
async def test_a_killed_primary_takes_with_it_what_no_replica_had_and_nothing_else(watched: Watched) -> None:
    load = Steady("lag")
    with gate_process(store_url=watched.url, **KEEPING) as gate:
        async with _under_load(gate, load):
            old, cut_ms = watched.primary(), time.time() * 1000
            watched.cut_from_replicas(old)
            await _serves(load)
            lost = await _kill_and_follow(watched, gate, load)
        assert len(lost) >= FULL_LOAD
        assert min(post.first_seen_ms for post in lost) >= cut_ms
        told = acknowledged(load)
        assert await lost_of(gate, told) == lost
        await assert_honest(gate, watched, [load], lost)
        assert figure(gate, "store_setbacks_total", kind="set_back") == 1
        assert _told_lost(gate) >= len(lost)
    log.info("%d acknowledged, %d lost", len(told), len(lost))


@pytest.mark.long
async def test_where_a_replica_has_to_confirm_a_killed_primary_takes_nothing_acknowledged_with_it(
    watched: Watched,
) -> None:
    load = Steady("confirmed")
    with gate_process(store_url=watched.url, store_min_replicas=1, **KEEPING) as gate:
        async with _under_load(gate, load):
            watched.cut_from_replicas(watched.primary())
            told = "it is stored, but too few replicas"
            await _until(lambda: any(post.detail.startswith(told) for post in load.posts))
            assert await _kill_and_follow(watched, gate, load) == []
        assert await lost_of(gate, acknowledged(load)) == []
        await assert_honest(gate, watched, [load], [])


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
        async with _under_load(gate, load):
            old = watched.primary()
            watched.pause_server(old)
            await _until(lambda: watched.primary() not in (old, -1))
            watched.resume_server(old)
            new = await _follow(watched, gate, load, old)
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
        async with _under_load(gate, load):
            old = watched.primary()
            watched.cut_from_sentinels(old)
            new = await _follow(watched, gate, load, old)
        with watched.client(old, password=ANOTHER_PASSWORD) as client:
            assert client.info("replication")["role"] == "master"
    await _assert_none_of_a_stale_primary(watched, load, new)


@pytest.mark.long
async def test_a_failover_that_somebody_orders_costs_nothing_that_was_acknowledged_after_it(
    watched: Watched,
) -> None:
    load = Steady("ordered")
    with gate_process(store_url=f"{watched.url}?protocol=3", **KEEPING) as gate:
        async with _under_load(gate, load):
            old = watched.primary()
            watched.fail_over()
            new = await _follow(watched, gate, load, old)
            await asyncio.to_thread(watched.settle)
    await _assert_none_of_a_stale_primary(watched, load, new)


async def test_a_primary_that_comes_back_empty_before_it_is_replaced_takes_nothing_that_is_lost_later(
    watched: Watched,
) -> None:
    """Nobody has replaced it yet, so it may stay; then what it had is gone, as after any crash."""
    load = Steady("back")
    with gate_process(store_url=watched.url, **KEEPING) as gate:
        async with _under_load(gate, load):
            old, since = watched.primary(), time.monotonic()
            watched.kill_server(old)
            watched.restart_server(old)
            await _until(gate.is_ready)
            await _serves(load)
            await asyncio.to_thread(watched.settle)
            await _serves(load)
        lost = await lost_of(gate, acknowledged(load))
        assert [post for post in lost if post.sent > since] == []
        await assert_honest(gate, watched, [load], lost)


@pytest.mark.long
async def test_without_a_majority_of_the_sentinels_nothing_is_acknowledged_until_there_is_one_again(
    watched: Watched,
) -> None:
    load = Steady("majority")
    with gate_process(store_url=watched.url, **KEEPING) as gate:
        async with _under_load(gate, load):
            watched.pause_sentinels(0, 1)
            await _until(lambda: not gate.is_ready())
            refused = await load.post(gate.url)
            assert refused.status == 503
            assert "sentinels" in refused.detail
            old = watched.primary_of(2)
            watched.kill_server(old)
            watched.resume_sentinels()
            new = await _follow(watched, gate, load, old)
    await _assert_none_of_a_stale_primary(watched, load, new)


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
        async with _under_load(gate, load):
            old = watched.primary()
            watched.kill_server(old)
            await _follow(watched, gate, load, old)
        assert "of-the" not in gate.log.read_text()
        await assert_honest(gate, watched, [load], await lost_of(gate, acknowledged(load)))
