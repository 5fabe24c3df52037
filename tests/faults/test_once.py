"""Law 1 across processes: whatever comes in at once, at whichever gate, is accepted once."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain

import pytest

from tests.support.gate import GateProcess, gate_process
from tests.support.servers import StoreServer
from tests.support.wire import Connection, Reply, connected

POSTS = 10_000
CONNECTIONS_A_GATE = 100
# On a busy machine the posts take minutes, and a call of the store a second.
PATIENT: dict[str, object] = {
    "dedup_window_seconds": 3600,
    "transaction_retention_seconds": 3600,
    "emergency_transaction_retention_seconds": 3600,
    "store_deadline_seconds": 30,
}


@pytest.fixture(scope="module")
def two_gates(matrix_session: StoreServer) -> Iterator[list[GateProcess]]:
    with ExitStack() as stack:
        yield [stack.enter_context(gate_process(store_url=matrix_session.url, **PATIENT)) for _ in range(2)]


@pytest.fixture
def gates(store: StoreServer, two_gates: list[GateProcess]) -> list[GateProcess]:  # noqa: ARG001  emptied
    """Two gates in front of one store, which is empty."""
    return two_gates


async def _repeat(connection: Connection, document: object, times: int) -> list[Reply]:
    return [await connection.post(document) for _ in range(times)]


async def test_of_10000_concurrent_posts_of_one_signature_at_two_gates_one_is_accepted(
    gates: Sequence[GateProcess],
) -> None:
    document = {"signature": "the-one", "source": "helius-a", "payload": {"fee": 5000}}
    async with (
        connected(gates[0].url, CONNECTIONS_A_GATE) as left,
        connected(gates[1].url, CONNECTIONS_A_GATE) as right,
    ):
        times = POSTS // (2 * CONNECTIONS_A_GATE)
        replies = await asyncio.gather(*(_repeat(connection, document, times) for connection in left + right))
    answers = list(chain.from_iterable(replies))
    assert Counter(reply.status for reply in answers) == {200: POSTS}
    assert Counter(reply.json()["status"] for reply in answers) == {"accepted": 1, "duplicate": POSTS - 1}
    assert len({reply.json()["first_seen_ms"] for reply in answers}) == 1


def _overlapping_batches(seed: int, count: int, size: int) -> list[list[str]]:
    """Batches that draw from few signatures, each with doubles of its own."""
    draw = random.Random(seed)
    pool = [f"overlap-{number}" for number in range(size * count // 10)]
    return [draw.choices(pool, k=size) for _ in range(count)]


def _accepted(batch: Sequence[str], summary: dict[str, object]) -> list[str]:
    duplicates = summary["duplicates"]
    assert isinstance(duplicates, list)
    assert summary["accepted"] == len(batch) - len(duplicates)
    assert summary["invalid"] == 0
    return [signature for at, signature in enumerate(batch) if at not in duplicates]


async def _post_batches(connection: Connection, batches: Sequence[Sequence[str]]) -> list[str]:
    accepted: list[str] = []
    for batch in batches:
        reply = await connection.post([{"signature": signature, "source": "a"} for signature in batch])
        assert reply.status == 200
        accepted += _accepted(batch, reply.json())
    return accepted


async def test_of_overlapping_batches_at_two_gates_each_signature_is_accepted_once_doubles_included(
    gates: Sequence[GateProcess],
) -> None:
    batches = _overlapping_batches(seed=1, count=200, size=100)
    assert any(len(set(batch)) < len(batch) for batch in batches), "doubles inside one batch"
    async with connected(gates[0].url, 10) as left, connected(gates[1].url, 10) as right:
        connections = [*left, *right]
        shares = [batches[number :: len(connections)] for number in range(len(connections))]
        answers = await asyncio.gather(*map(_post_batches, connections, shares))
    accepted = Counter(chain.from_iterable(answers))
    assert accepted == Counter(set(chain.from_iterable(batches)))


async def test_the_same_batch_sent_to_both_gates_at_once_is_accepted_once_altogether(
    gates: Sequence[GateProcess],
) -> None:
    async with connected(gates[0].url, 1) as left, connected(gates[1].url, 1) as right:
        for number in range(50):
            batch = [f"twin-{number}-{at}" for at in range(40)]
            both = await asyncio.gather(
                *(_post_batches(connection, [batch, batch]) for connection in (*left, *right))
            )
            assert sorted(chain.from_iterable(both)) == sorted(batch)
