"""What one flush of a gate has in hand, another one leaves to it, and then asks the store itself."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from app.errors import StoreTimeout
from app.ingest.lookup import Lookup
from app.models import Verdict
from app.store.maps import Ages, Maps
from tests.conftest import MakeSettings
from tests.support.deliver import connected_gate, transaction
from tests.support.servers import StoreServer

SIGNATURES = [f"signature-{number}" for number in range(30)]
Claim = Callable[..., Any]


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many signatures each claim was for."""
    sizes: list[int] = []
    claim: Claim = Maps.claim

    async def noted(maps: Maps, prefix: str, deliveries: Any, *more: Any) -> Ages:
        sizes.append(len(deliveries.hashes))
        ages: Ages = await claim(maps, prefix, deliveries, *more)
        return ages

    monkeypatch.setattr(Maps, "claim", noted)
    return sizes


async def test_of_flushes_at_the_same_time_only_one_claims_a_signature(
    valkey: StoreServer, settings_for: MakeSettings, claims: list[int]
) -> None:
    gate = await connected_gate(settings_for(valkey, dedup_window_seconds=60))
    feeds = ("helius-a", "quicknode-b", "grpc-c")
    flushes = [
        [transaction(signature, feed) for signature in SIGNATURES[at:]] for at, feed in enumerate(feeds)
    ]
    answers = await asyncio.gather(*(gate.pipeline.flush(items) for items in flushes))
    accepted = [sum(answer.verdict is Verdict.ACCEPTED for answer in one) for one in answers]
    assert accepted == [30, 0, 0]
    assert claims == [30], "nothing is compressed and sent twice"
    found = await Lookup(gate.maps).find(SIGNATURES[-1])
    assert found is not None
    assert {sighting.source for sighting in found.observations} == set(feeds)
    await gate.session.close()


async def test_what_no_other_flush_has_does_not_wait(
    valkey: StoreServer, settings_for: MakeSettings, claims: list[int]
) -> None:
    gate = await connected_gate(settings_for(valkey, dedup_window_seconds=60))
    halves = (
        [transaction(signature) for signature in SIGNATURES[:20]],
        [transaction(signature, "quicknode-b") for signature in SIGNATURES[10:]],
    )
    first, second = await asyncio.gather(*(gate.pipeline.flush(items) for items in halves))
    assert [answer.verdict for answer in first] == [Verdict.ACCEPTED] * 20
    assert [answer.verdict for answer in second] == [Verdict.DUPLICATE] * 10 + [Verdict.ACCEPTED] * 10
    assert sorted(claims) == [10, 20]
    await gate.session.close()


async def test_when_the_flush_that_has_it_fails_the_other_one_claims(
    valkey: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = await connected_gate(settings_for(valkey, dedup_window_seconds=60))
    claim: Claim = Maps.claim
    failures = [StoreTimeout("the first claim is lost")]

    async def failing_once(maps: Maps, *args: Any) -> Ages:
        if failures:
            await asyncio.sleep(0)
            raise failures.pop()
        ages: Ages = await claim(maps, *args)
        return ages

    monkeypatch.setattr(Maps, "claim", failing_once)
    items = [transaction(signature) for signature in SIGNATURES]
    lost, kept = await asyncio.gather(
        gate.pipeline.flush(items), gate.pipeline.flush(items), return_exceptions=True
    )
    assert isinstance(lost, StoreTimeout)
    assert not isinstance(kept, BaseException)
    assert [answer.verdict for answer in kept] == [Verdict.ACCEPTED] * 30
    await gate.session.close()
