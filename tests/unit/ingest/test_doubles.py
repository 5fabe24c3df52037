"""Equal signatures in one flush: one of them is accepted, and everybody's delivery is noted."""

import pytest

from app.ingest.doubles import Doubles
from app.ingest.lookup import Lookup
from app.models import ACCEPTED, REFUSED, Answers, MapName, Verdict
from tests.conftest import MakeSettings
from tests.support.deliver import connected_gate, transaction
from tests.support.servers import StoreServer


def test_each_later_one_is_a_duplicate_of_the_first() -> None:
    doubles = Doubles([b"a", b"b", b"a", b"c", b"b", b"a"])
    assert doubles.firsts == [0, 1, 3]
    assert doubles.later == [(2, 0), (4, 1), (5, 0)]
    spread = doubles.spread(Answers([100, 200, 300], [ACCEPTED, 43, REFUSED]))
    assert list(spread.codes) == [ACCEPTED, 43, 1, REFUSED, 43, 1]
    assert [answer.first_seen_ms for answer in spread] == [100, 158, 100, None, 158, 100]


@pytest.mark.parametrize("times", [1, 2])
async def test_one_flush_of_several_feeds_accepts_once_and_knows_who_delivered(
    store: StoreServer, settings_for: MakeSettings, times: int
) -> None:
    gate = await connected_gate(settings_for(store, dedup_window_seconds=60))
    signatures, feeds = [f"signature-{number}" for number in range(40)], ("helius-a", "quicknode-b", "grpc-c")
    for at in range(times):
        items = [transaction(signature, feed) for feed in feeds for signature in signatures]
        answers = list(await gate.pipeline.flush(items))
        accepted = [answer.verdict is Verdict.ACCEPTED for answer in answers]
        assert accepted == [at == 0] * 40 + [False] * 80
    first_seen = {answer.first_seen_ms for answer in answers[:40]}
    for signature in signatures:
        found = await Lookup(gate.maps).find(signature)
        assert found is not None
        assert found.first_seen_ms in first_seen
        assert {sighting.source for sighting in found.observations} == set(feeds)
    sizes = await gate.maps.sizes()
    assert [sizes[name].entries for name in MapName] == [40, 40, 120]
    await gate.session.close()


async def test_a_flush_of_known_and_new_signatures_keeps_each_with_its_own_payload(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(store, dedup_window_seconds=60))
    await gate.pipeline.flush([transaction(f"known-{n}", payload=f"known-{n}") for n in range(0, 30, 2)])
    items = [transaction(f"known-{n // 2}", f"feed-{n % 2}", payload=f"known-{n // 2}") for n in range(60)]
    answers = list(await gate.pipeline.flush(items))
    accepted = [n for n, answer in enumerate(answers) if answer.verdict is Verdict.ACCEPTED]
    assert accepted == [n for n in range(60) if n % 4 == 2], "the odd ones, delivered first by feed-0"
    for n in range(30):
        found = await Lookup(gate.maps).find(f"known-{n}")
        assert found is not None
        assert bytes(found.payload) == f'"known-{n}"'.encode()
        assert {"feed-0", "feed-1"} <= {sighting.source for sighting in found.observations}
    await gate.session.close()
