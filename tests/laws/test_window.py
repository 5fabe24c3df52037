"""Law 1 at its edge: the window, exact to the millisecond of the server's clock."""

import asyncio
import itertools

from app.models import ACCEPTED
from app.settings.model import Settings
from app.store.maps import Deliveries, Maps
from app.store.partitions import signature_hash
from tests.conftest import MakeSettings
from tests.support.deliver import BLOCK, connected_gate
from tests.support.servers import StoreServer

WINDOW_MS = 300
ROUNDS = 3


async def _claim_until_accepted_again(maps: Maps, digest: bytes) -> list[tuple[int, int]]:
    """Claim without a pause from one acceptance to the next; the server's time and code of every answer."""
    answers: list[tuple[int, int]] = []
    while sum(code == ACCEPTED for _, code in answers) < 2:
        ages = await maps.claim(maps.partition_of(digest), Deliveries([digest], ["feed"]), BLOCK, 1)
        answers.append((ages.now_ms, ages.codes[0]))
    return answers


def _settings(make: MakeSettings, store: StoreServer) -> Settings:
    return make(store, dedup_window_seconds=WINDOW_MS / 1000)


async def test_every_answer_is_duplicate_until_the_millisecond_the_window_ends(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(_settings(settings_for, store))
    for number in range(ROUNDS):
        digest = signature_hash(f"edge-{number}")
        answers = await _claim_until_accepted_again(gate.maps, digest)
        first_ms = answers[0][0]
        for now_ms, code in answers[1:]:
            is_duplicate = code != ACCEPTED
            assert is_duplicate == (now_ms - first_ms < WINDOW_MS)
            assert not is_duplicate or code == now_ms - first_ms + 1
    await gate.session.close()


async def test_duplicates_never_extend_the_window(store: StoreServer, settings_for: MakeSettings) -> None:
    gates = [await connected_gate(_settings(settings_for, store)) for _ in range(2)]
    digest = signature_hash("not extended")
    everyone = await asyncio.gather(*(_claim_until_accepted_again(gate.maps, digest) for gate in gates))
    accepted = sorted(now_ms for answers in everyone for now_ms, code in answers if code == ACCEPTED)
    gaps = [later - earlier for earlier, later in itertools.pairwise(accepted)]
    assert all(WINDOW_MS <= gap < WINDOW_MS + 100 for gap in gaps), gaps
    for gate in gates:
        await gate.session.close()
