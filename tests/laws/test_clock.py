"""The server's clock jumps, as after a failover or a correction of its time."""

from collections.abc import Iterator

import pytest
import redis

from app.ingest.lookup import Lookup
from app.models import MapName, Verdict
from app.store import session
from app.store.scripts import load_scripts
from tests.conftest import MakeSettings
from tests.support.deliver import connected_gate, transaction
from tests.support.servers import StoreServer

OFFSET = "test:clock"
HOUR_SECONDS = 3600
READ = "local time = redis.call('TIME')"
SHIFTED = f"{READ}; time[1] = time[1] + (redis.call('GET', '{OFFSET}') or 0)"


@pytest.fixture
def clock(valkey: StoreServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """A connection on which the offset of the scripts' clock can be set, in seconds."""
    scripts = {name: text.replace(READ, SHIFTED) for name, text in load_scripts().items()}
    assert all(SHIFTED in text for text in scripts.values())
    monkeypatch.setattr(session, "load_scripts", lambda: scripts)
    with valkey.nodes()[0] as node:
        yield node


async def test_a_clock_set_back_by_an_hour_neither_stops_sweeping_nor_refuses_for_an_hour(
    valkey: StoreServer, settings_for: MakeSettings, clock: redis.Redis
) -> None:
    gate = await connected_gate(settings_for(valkey, dedup_window_seconds=0.2, signatures_limit=60))
    clock.set(OFFSET, HOUR_SECONDS, ex=60)
    await gate.flusher.flush([transaction("from the future")])
    clock.set(OFFSET, 0, ex=60)
    for number in range(100):
        [answer] = await gate.flusher.flush([transaction(f"now-{number}")])
        assert answer.verdict is Verdict.ACCEPTED
        clock.set(OFFSET, number // 10, ex=60)
    sizes = await gate.maps.sizes()
    assert sizes[MapName.SIGNATURES].entries < 60
    assert (sizes[MapName.SIGNATURES].oldest_age_seconds or 0) >= 0
    await gate.session.close()


async def test_a_clock_set_back_by_less_than_the_window_admits_no_duplicate(
    valkey: StoreServer, settings_for: MakeSettings, clock: redis.Redis
) -> None:
    gate = await connected_gate(settings_for(valkey, dedup_window_seconds=5))
    clock.set(OFFSET, 3, ex=60)
    await gate.flusher.flush([transaction("steady")])
    clock.set(OFFSET, 0, ex=60)
    [answer] = await gate.flusher.flush([transaction("steady")])
    assert answer.verdict is Verdict.DUPLICATE
    await gate.session.close()


async def test_a_clock_set_back_after_the_window_was_shortened_admits_no_duplicate(
    valkey: StoreServer, settings_for: MakeSettings, clock: redis.Redis
) -> None:
    gate = await connected_gate(settings_for(valkey, dedup_window_seconds=5))
    clock.set(OFFSET, 3, ex=60)
    await gate.flusher.flush([transaction("steady")])
    gate.live.replace(gate.live.settings.model_copy(update={"dedup_window_seconds": 0.2}), 1)
    await gate.maps.sizes()
    clock.set(OFFSET, 0, ex=60)
    for _ in range(2):
        [answer] = await gate.flusher.flush([transaction("steady")])
        assert answer.verdict is Verdict.DUPLICATE
        await gate.flusher.flush([transaction("of the short window")])
    await gate.session.close()


async def test_lost_bucket_keys_cost_their_transactions_and_never_show_those_of_others(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, dedup_window_seconds=60))
    await gate.flusher.flush([transaction("lost", payload="of lost")])
    with valkey.nodes()[0] as node:
        node.delete(*node.keys("tidegate:{0}:2:blocks:*"))
        assert await Lookup(gate.maps).find("lost") is None
        await gate.flusher.flush([transaction("kept", payload="of kept")])
    assert await Lookup(gate.maps).find("lost") is None
    kept = await Lookup(gate.maps).find("kept")
    assert kept is not None
    assert bytes(kept.payload) == b'"of kept"'
    await gate.session.close()
