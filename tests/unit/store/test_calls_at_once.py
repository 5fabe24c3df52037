"""So many calls of the store at once; those above them wait, and not too many of them."""

import asyncio

import pytest

from app.errors import Overloaded
from app.settings.model import Settings
from app.store import call_slots
from app.store.partitions import signature_hash
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.proxy import Proxy
from tests.support.servers import valkey_server

PATIENCE_SECONDS = 30.0


async def _ask_for_more_than_may_wait(gate: Gate, proxy: Proxy) -> None:
    known = signature_hash("known")
    proxy.hold_answers()
    under_way = [asyncio.create_task(gate.maps.lookup(known)) for _ in range(call_slots.LOOKUPS_AT_ONCE)]
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
    monkeypatch.setattr(call_slots, "MOST_WAITING", 2)
    with valkey_server() as server:
        proxy = Proxy(int(server.url.rpartition(":")[2].partition("/")[0]))
        async with proxy.running():
            settings = Settings(store_url=proxy.url, store_deadline_seconds=PATIENCE_SECONDS)
            gate = await connected_gate(settings)
            await gate.flusher.flush([transaction("known")])
            await _ask_for_more_than_may_wait(gate, proxy)
            await gate.session.close()
