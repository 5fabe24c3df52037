"""The number of partitions of a Cluster: chosen once, kept with the data, and the same for all gates."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest

from app.errors import StoreOfOtherFormat
from app.models import Verdict
from app.settings.model import Settings
from app.store import partition_count
from app.store.connector import StoreConnector
from app.store.partitions import (
    EARLIER_PARTITIONS,
    SLOTS,
    first_prefix,
    key_slot,
    partition_prefixes,
    partitions_for,
    signature_hash,
)
from app.store.store_errors import StoreOfOtherPartitions
from tests.support.cluster import await_cluster
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.keys import keys_without_expiry
from tests.support.processes import kill_all, pause_all, resume_all
from tests.support.servers import StoreServer, cluster_server

pytestmark = pytest.mark.server

KEY = f"{first_prefix('tidegate')}:2:partitions"
EARLIER_FIRST = partition_prefixes("tidegate", EARLIER_PARTITIONS)[0]
SIGNATURES = [f"signature-{number}" for number in range(200)]


@pytest.fixture(scope="module")
def three_masters() -> Iterator[StoreServer]:
    with cluster_server() as server:
        yield server


@pytest.fixture
def cluster(three_masters: StoreServer) -> Iterator[StoreServer]:
    three_masters.flush()
    yield three_masters
    assert keys_without_expiry(three_masters) == []


def _settings(server: StoreServer) -> Settings:
    return Settings(store_url=server.url, store_deadline_seconds=10, dedup_window_seconds=60)


async def _connected_partitions(server: StoreServer) -> int:
    servers, found = await StoreConnector(server.url, 10).connect()
    await servers.close()
    return found.partitions


def _choose(monkeypatch: pytest.MonkeyPatch, partitions: int) -> None:
    """Let gates that start from now on choose as if the Cluster had more masters or fewer."""
    monkeypatch.setattr(partition_count, "partitions_for", lambda _: partitions)


async def _verdicts(gate: Gate) -> Counter[Verdict]:
    answers = await gate.flusher.flush([transaction(signature) for signature in SIGNATURES])
    return Counter(answer.verdict for answer in answers)


async def _assert_shares(masters: int) -> None:
    """Start a Cluster, post to it, and look where the entries are."""
    with cluster_server(masters=masters) as server:
        gate = await connected_gate(_settings(server))
        prefixes = gate.maps.layout.prefixes
        assert len(prefixes) == partitions_for(masters)
        assert await _verdicts(gate) == {Verdict.ACCEPTED: len(SIGNATURES)}
        assert await _verdicts(gate) == {Verdict.DUPLICATE: len(SIGNATURES)}
        for signature in SIGNATURES[:20]:
            assert await gate.maps.lookup(signature_hash(signature)) is not None
        for node, (first, end) in zip(server.nodes(), pairwise(_edges(masters)), strict=True):
            own = [prefix for prefix in prefixes if first <= key_slot(prefix.encode()) < end]
            with node:
                assert all(node.exists(f"{prefix}:2:ledger") for prefix in own)
            assert 0.8 <= len(own) / len(prefixes) * masters <= 1.25
        await gate.session.close()


def _edges(masters: int) -> list[int]:
    return [SLOTS * edge // masters for edge in range(masters + 1)]


@pytest.mark.parametrize("masters", [1, 3, 9])
async def test_every_master_of_a_cluster_has_its_share(masters: int) -> None:
    await _assert_shares(masters)


@pytest.mark.long
async def test_every_master_of_a_cluster_of_32_has_its_share() -> None:
    await _assert_shares(32)


async def test_the_number_is_kept_when_the_cluster_has_grown(
    cluster: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = await connected_gate(_settings(cluster))
    assert gate.session.partitions == 16
    assert await _verdicts(gate) == {Verdict.ACCEPTED: len(SIGNATURES)}
    _choose(monkeypatch, 64)
    later = await connected_gate(_settings(cluster))
    assert later.session.partitions == 16
    assert await _verdicts(later) == {Verdict.DUPLICATE: len(SIGNATURES)}
    for each in (gate, later):
        await each.session.close()


async def test_gates_that_start_at_once_agree(cluster: StoreServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has asked for the number before any has set it, and each would choose another."""
    choices = iter([16, 32, 64, 8])
    monkeypatch.setattr(partition_count, "partitions_for", lambda _: next(choices))
    have_asked, stated = asyncio.Barrier(4), partition_count._stated  # noqa: SLF001

    async def asked(*args: object) -> list[object]:
        found = await stated(*args)  # type: ignore[arg-type]  # as they were given
        await have_asked.wait()
        return found

    monkeypatch.setattr(partition_count, "_stated", asked)
    found = await asyncio.gather(*(_connected_partitions(cluster) for _ in range(4)))
    assert len(set(found)) == 1
    with cluster.client() as client:
        assert int(client.get(KEY)) == found[0]


async def test_a_first_partition_that_was_lost_does_not_take_the_number_with_it(
    cluster: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = await connected_gate(_settings(cluster))
    with cluster.client() as client:
        client.delete(KEY)
        _choose(monkeypatch, 64)
        assert await _connected_partitions(cluster) == 16
        assert client.get(KEY) == b"16"
        client.delete(KEY)
        await gate.maps.sizes()
        assert client.get(KEY) == b"16", "each tick keeps it"
    await gate.session.close()


async def test_a_gate_that_runs_brings_the_number_back_to_a_store_that_lost_everything(
    cluster: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = await connected_gate(_settings(cluster))
    cluster.flush()
    await gate.maps.sizes()
    _choose(monkeypatch, 64)
    assert await _connected_partitions(cluster) == 16
    await gate.session.close()


async def test_a_store_that_lost_everything_and_came_back_is_divided_anew(
    cluster: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate that was away meanwhile, or a changed number, is found by the tick, and gone by from then on."""
    gate = await connected_gate(_settings(cluster))
    cluster.flush()
    _choose(monkeypatch, 64)
    other = await connected_gate(_settings(cluster))
    assert other.session.partitions == 64
    assert await _verdicts(other) == {Verdict.ACCEPTED: len(SIGNATURES)}
    with pytest.raises(StoreOfOtherPartitions):
        await gate.maps.sizes()
    assert not gate.session.is_up
    await gate.session.probe(gate.maps.sizes)  # over the connections that stand
    await gate.session.probe(gate.maps.sizes)
    assert gate.session.partitions == 64
    assert await _verdicts(gate) == {Verdict.DUPLICATE: len(SIGNATURES)}
    for each in (gate, other):
        await each.session.close()


async def test_a_number_that_is_none_is_refused(cluster: StoreServer) -> None:
    with cluster.client() as client:
        for wrong in ("12", "many", "6", "0", "4096"):
            client.set(KEY, wrong, ex=60)
            with pytest.raises(StoreOfOtherFormat):
                await _connected_partitions(cluster)


async def test_a_cluster_that_was_begun_with_six_partitions_keeps_them(cluster: StoreServer) -> None:
    with cluster.client() as client:
        client.set(f"{EARLIER_FIRST}:2:ledger", "as an earlier gate has begun it", ex=60)
        assert await _connected_partitions(cluster) == EARLIER_PARTITIONS
        assert not client.exists(KEY)
        client.delete(f"{EARLIER_FIRST}:2:ledger")
    gate = await connected_gate(_settings(cluster))
    with cluster.client() as client:
        mark = client.get(f"{EARLIER_FIRST}:transactions:ledger")
    assert mark is not None, "a gate that knows of six only is refused by it"
    # As such a gate does it: the same script, with its prefix.
    with pytest.raises(StoreOfOtherFormat):
        await gate.session.run("sizes", EARLIER_FIRST, [gate.maps.layout.rules, 0, 0])
    await gate.session.close()


@pytest.mark.parametrize("kind", ["signatures:ledger", "probe"])
async def test_a_cluster_that_gates_of_format_1_use_keeps_their_six_partitions(
    cluster: StoreServer, kind: str
) -> None:
    last = partition_prefixes("tidegate", EARLIER_PARTITIONS)[-1]
    with cluster.client() as client:
        client.set(f"{last}:{kind}", "of an older gate", ex=60)
    assert await _connected_partitions(cluster) == EARLIER_PARTITIONS
    with cluster.client() as client:
        assert not client.exists(f"{EARLIER_FIRST}:transactions:ledger"), "the mark would refuse them"


SERVE_ON = ("--cluster-require-full-coverage", "no")


async def _assert_joined(server: StoreServer, partitions: int, masters_down: int) -> None:
    """A gate that comes now, by the address of the second master, serves what the others have."""
    settings = _settings(server).model_copy(update={"store_deadline_seconds": 1})
    gate = await connected_gate(settings.model_copy(update={"store_url": server.launches[1].url}))
    assert gate.session.partitions == partitions
    down = len(gate.session.down_partitions.reasons)
    assert (down > 0) == (masters_down > 0)
    assert down < partitions
    answers = await gate.flusher.flush([transaction(signature) for signature in SIGNATURES])
    assert {answer.verdict for answer in answers} - {Verdict.FAILED} == {Verdict.DUPLICATE}
    await gate.session.close()


@pytest.mark.parametrize("partitions", [EARLIER_PARTITIONS, 16])
async def test_a_gate_joins_a_cluster_while_a_master_is_lost_or_does_not_answer(partitions: int) -> None:
    with cluster_server(options=SERVE_ON) as server:
        if partitions == EARLIER_PARTITIONS:
            with server.client() as client:
                client.set(f"{EARLIER_FIRST}:2:ledger", "as an earlier gate has begun it", ex=60)
        gate = await connected_gate(_settings(server))
        assert await _verdicts(gate) == {Verdict.ACCEPTED: len(SIGNATURES)}
        await gate.session.close()
        await _assert_joined(server, partitions, masters_down=0)
        pause_all(server.processes[2:])
        await _assert_joined(server, partitions, masters_down=1)
        resume_all(server.processes[2:])
        await asyncio.to_thread(await_cluster, server.nodes())
        kill_all(server.processes[:1])
        await _assert_joined(server, partitions, masters_down=1)
