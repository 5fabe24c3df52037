"""So many calls at once, and those above it in turn."""

import asyncio

import pytest

from app.errors import Overloaded
from app.settings.model import Settings
from app.store import session, slots
from app.store.layout import signature_hash
from app.store.slots import Slots
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.proxy import Proxy
from tests.support.servers import valkey_server

PATIENCE_SECONDS = 30.0


async def _waiting(taken: Slots, count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(taken.await_one()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_as_many_as_there_are_can_be_taken_and_then_those_given_back() -> None:
    two = Slots(2, PATIENCE_SECONDS)
    assert [two.take_free() for _ in range(3)] == [True, True, False]
    two.give_back()
    assert [two.take_free() for _ in range(2)] == [True, False]


async def test_those_who_wait_get_their_turn_in_order_and_before_who_comes_later() -> None:
    one = Slots(1, PATIENCE_SECONDS)
    assert one.take_free()
    first, second = await _waiting(one, 2)
    one.give_back()
    assert not one.take_free(), "it is the first one's"
    await first
    assert not second.done()
    one.give_back()
    await second
    one.give_back()
    assert one.take_free()


async def test_who_is_cancelled_while_waiting_is_passed_over() -> None:
    one = Slots(1, PATIENCE_SECONDS)
    assert one.take_free()
    first, second = await _waiting(one, 2)
    first.cancel()
    one.give_back()
    await second
    assert first.cancelled()


async def test_a_slot_handed_to_who_is_cancelled_in_the_same_moment_is_not_lost() -> None:
    one = Slots(1, PATIENCE_SECONDS)
    assert one.take_free()
    [waiter] = await _waiting(one, 1)
    one.give_back()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert one.take_free()


async def test_who_waits_for_longer_than_the_deadline_is_refused_and_takes_no_slot() -> None:
    one = Slots(1, 0.0)
    assert one.take_free()
    with pytest.raises(Overloaded):
        await one.await_one()
    one.give_back()
    assert one.take_free()


async def _ask_for_more_than_may_wait(gate: Gate, proxy: Proxy) -> None:
    known = signature_hash("known")
    proxy.hold_answers()
    under_way = [asyncio.create_task(gate.maps.lookup(known)) for _ in range(session.LOOKUPS_AT_ONCE)]
    waiting = [asyncio.create_task(gate.maps.lookup(known)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await gate.maps.lookup(known)
    waiting.pop().cancel()
    await asyncio.sleep(0)
    waiting.append(asyncio.create_task(gate.maps.lookup(known)))
    claim = asyncio.create_task(gate.flusher.flush([transaction("claimed")]))
    await proxy.has_held(1)
    proxy.pass_on()
    assert all(await asyncio.gather(*under_way, *waiting))
    [answer] = await claim
    assert answer.verdict == "accepted", "claims have slots of their own"
    assert gate.session.is_up


@pytest.mark.server
async def test_a_lookup_above_those_that_may_wait_is_refused_and_the_others_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slots, "MOST_WAITING", 2)
    with valkey_server() as server:
        proxy = Proxy(int(server.url.rpartition(":")[2].partition("/")[0]))
        async with proxy.running():
            settings = Settings(store_url=proxy.url, store_deadline_seconds=PATIENCE_SECONDS)
            gate = await connected_gate(settings)
            await gate.flusher.flush([transaction("known")])
            await _ask_for_more_than_may_wait(gate, proxy)
            await gate.session.close()
