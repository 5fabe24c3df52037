"""A master of a Cluster is lost, with no replica to follow it: what the others have is served on."""

import asyncio
import re
import time
from collections.abc import Iterator
from itertools import chain, groupby, pairwise
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from app.cli.main import tidegate
from app.store.partitions import (
    SLOTS,
    key_slot,
    partition_of,
    partition_prefixes,
    partitions_for,
    signature_hash,
)
from tests.support.consumer_calls import consumer
from tests.support.gate import GateProcess, gate_process, has_port, started
from tests.support.processes import kill_all, pause_all, resume_all, start_all, wait_until
from tests.support.servers import StoreServer, cluster_server
from tests.support.streams import items, open_stream, post, signatures
from tests.support.worker_gates import figure

pytestmark = [pytest.mark.server, pytest.mark.slow]

PATIENCE_SECONDS = 60.0
COUNT = 200
# With this a master that is lost leaves the slots of the others served, once the nodes have noticed.
LENIENT = ("--cluster-require-full-coverage", "no")
FIRST_PARTITION = 2
"""The master that has the slot of `tidegate:{0}`, of three."""
_PREFIXES = partition_prefixes("tidegate", partitions_for(3))


@pytest.fixture
def cluster() -> Iterator[StoreServer]:
    with cluster_server(options=LENIENT) as server:
        yield server


def _gate(store: StoreServer) -> Any:
    return gate_process(store_url=store.url, store_deadline_seconds=1, dedup_window_seconds=60)


def _master_at(slot: int) -> int:
    """The number of the master, of three, that has the slot."""
    return next(at for at in range(3) if slot < SLOTS * (at + 1) // 3)


def _master_of(signature: str) -> int:
    """The number of the master that has the partition of a signature."""
    prefix = _PREFIXES[partition_of(signature_hash(signature), len(_PREFIXES))]
    return _master_at(key_slot(prefix.encode()))


def _names(prefix: str) -> list[str]:
    return [f"{prefix}-{number}" for number in range(COUNT)]


async def _try(gate: GateProcess, batch: list[dict[str, object]]) -> httpx.Response:
    async with httpx.AsyncClient(
        base_url=gate.url, trust_env=False, verify=False, timeout=PATIENCE_SECONDS
    ) as client:
        return await client.post("/transactions", json=batch)


async def _post_in_part(gate: GateProcess, prefix: str, dead: int) -> list[str]:
    """Post while a master is dead, and hold the answer against what it has; return what is stored."""
    names = _names(prefix)
    lost = [at for at, name in enumerate(names) if _master_of(name) == dead]
    answer = await _try(gate, items(prefix, COUNT))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    document = answer.json()
    assert document["type"] == "urn:tidegate:problem:store-unavailable"
    assert [error["index"] for error in document["errors"]] == lost
    assert all(error["detail"] for error in document["errors"])
    counted = {name: document[name] for name in ("accepted", "duplicate", "invalid", "failed")}
    assert counted == {"accepted": COUNT - len(lost), "duplicate": 0, "invalid": 0, "failed": len(lost)}
    return [name for at, name in enumerate(names) if at not in lost]


def _has_down(gate: GateProcess, count: int) -> bool:
    return figure(gate, "store_partitions_down") == count


async def _until_down(gate: GateProcess, dead: int | None) -> None:
    """Wait until the gate knows all partitions of the dead master to be down, and no other."""
    count = sum(_master_at(key_slot(prefix.encode())) == dead for prefix in _PREFIXES)
    assert await asyncio.to_thread(wait_until, lambda: _has_down(gate, count), PATIENCE_SECONDS)


@pytest.mark.parametrize("dead", [pytest.param(0, marks=pytest.mark.long), FIRST_PARTITION])
async def test_a_killed_master_takes_only_its_own_partitions_with_it(cluster: StoreServer, dead: int) -> None:
    with _gate(cluster) as gate:
        async with open_stream(gate.url) as stream, consumer(gate.url, "bot") as bot:
            await post(gate.url, items("before", COUNT))
            assert sorted(signatures(await stream.take(COUNT))) == sorted(_names("before"))
            assert len(await bot.drain()) == COUNT
            cluster.processes[dead].kill()
            cluster.processes[dead].wait()
            stored = await _post_in_part(gate, "first", dead)
            await _until_down(gate, dead)
            stored += await _post_in_part(gate, "later", dead)
            assert sorted(signatures(await stream.take(len(stored)))) == sorted(stored), "a stream goes on"
            async with open_stream(gate.url) as another:
                assert another.response.status_code == 200, "one that begins, too"
            if dead != FIRST_PARTITION:
                leased = await bot.lease(limit=1000)
                assert sorted(line["signature"] for line in leased["transactions"]) == sorted(stored)
                assert await bot.commit(leased["lease"]) == "committed"
            await _assert_told(gate, stored, dead)
            cluster.processes[dead : dead + 1] = start_all(cluster.launches[dead : dead + 1])
            await _until_down(gate, None)
            names = [name for prefix in ("first", "later") for name in _names(prefix)]
            answers = [await post(gate.url, items(prefix, COUNT)) for prefix in ("first", "later")]
            accepted = [
                name
                for prefix, answer in zip(("first", "later"), answers, strict=True)
                for at, name in enumerate(_names(prefix))
                if at not in answer["duplicates"]
            ]
            assert sorted(accepted + stored) == sorted(names), "each once, and what had failed now"


async def test_readers_begin_and_are_told_which_partition_is_missing_where_they_need_it(
    cluster: StoreServer,
) -> None:
    """Nobody reads before the master is lost. A gate that runs knows the ends, one that comes later none."""
    with _gate(cluster) as gate:
        await post(gate.url, items("before", COUNT))
        async with _asking(gate) as client:
            assert (await client.post("/consumers/bot/lease?limit=10")).status_code == 200
            kill_all(cluster.processes[:1])
            await _until_down(gate, 0)
            async with open_stream(gate.url) as stream:
                stored = await _post_in_part(gate, "now", 0)
                lines = await stream.take(len(stored))
                assert sorted(signatures(lines)) == sorted(stored)
            after = lines[-2]["cursor"]
            async with open_stream(gate.url, after=after, limit=1) as stream:
                assert signatures(await stream.rest()) == signatures(lines[-1:])
            await _assert_named(client, "/stream?from=oldest", "GET")
            await _assert_named(client, "/consumers/bot/seek", "POST", json={"to": "oldest"})
            assert "this needs" not in (await client.get("/readyz")).text
            lease = await client.post("/consumers/fresh/lease?from=now")
            assert (lease.status_code, lease.json()["transactions"]) == (200, []), (
                "the others have nothing new"
            )
            assert len((await client.get("/consumers")).json()["consumers"]) == 2
            with started(store_url=cluster.launches[1].url, store_deadline_seconds=1) as later:
                assert await asyncio.to_thread(wait_until, lambda: _is_up(later), PATIENCE_SECONDS)
                async with _asking(later) as other:
                    await _assert_named(other, "/stream?from=now", "GET")
                    await _assert_named(other, f"/stream?after={after}", "GET")
                    assert len((await other.get("/consumers")).json()["consumers"]) == 2
            await _assert_named(client, "/consumers/bot", "DELETE")
            assert [one["name"] for one in (await client.get("/consumers")).json()["consumers"]] == ["fresh"]


def _asking(gate: GateProcess) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=gate.url, trust_env=False, verify=False, timeout=PATIENCE_SECONDS)


def _is_up(gate: GateProcess) -> bool:
    return has_port(gate) and gate.is_ready()


async def _assert_named(client: httpx.AsyncClient, path: str, method: str, **options: object) -> None:
    """What needs all partitions is answered with one of the first master, which is down."""
    answer = await client.request(method, path, **options)  # type: ignore[arg-type]
    assert answer.status_code == 503
    detail = answer.json()["detail"]
    named = re.match(r"this needs the partition (\S+), which is down: there is no connection", detail)
    assert named is not None, detail
    assert _master_at(key_slot(named[1].encode())) == 0


async def _assert_told(gate: GateProcess, stored: list[str], dead: int) -> None:
    async with httpx.AsyncClient(
        base_url=gate.url, trust_env=False, verify=False, timeout=PATIENCE_SECONDS
    ) as client:
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert "of the store's 16 partitions are down (unreachable)" in ready.json()["warnings"][0]
        stats = (await client.get("/stats")).json()
        assert any("partitions are down" in warning for warning in stats["warnings"])
        assert (await client.get(f"/transactions/{stored[0]}")).status_code == 200
        lost = next(name for name in _names("before") if _master_of(name) == dead)
        assert (await client.get(f"/transactions/{lost}")).status_code == 503
        if dead != FIRST_PARTITION:
            assert (await client.get("/consumers")).json()["consumers"][0]["position"] is None
        cleaned = await client.post("/cleanup")
        assert cleaned.status_code == 200
        assert cleaned.json()["left_out"] == {
            prefix: "unreachable" for prefix in _PREFIXES if _master_at(key_slot(prefix.encode())) == dead
        }
    assert figure(gate, "store_up") == 1
    assert figure(gate, "background_task_up", task="tick") == 1


REFUSALS = {"no_replicas": ("min-replicas-to-write", 1, 0), "too_many_clients": ("maxclients", 1, 10_000)}
"""The setting of a server by which it refuses, and the value by which it does not."""


async def test_a_master_that_refuses_takes_only_its_own_partitions_with_it_and_is_named() -> None:
    """In the log, `/readyz` and `tidegate health`, each with what to do."""
    with cluster_server() as cluster, _gate(cluster) as gate, cluster.nodes()[0] as node:
        for kind, (name, refusing, usual) in REFUSALS.items():
            node.config_set(name, refusing)
            node.client_kill_filter(_type="normal", skipme=True)
            await _until_down(gate, 0)
            await _post_in_part(gate, kind, 0)
            told = [line for line in gate.events() if line["event"] == "store partly down"][-1]
            named = f"({told['kind']}): {told['advice']}"
            assert named.startswith(f"({kind}): the store ")
            health = CliRunner().invoke(tidegate, ["health", "--url", gate.url])
            assert (health.exit_code, health.stdout) == (0, "ready\n")
            assert named in health.stderr
            node.config_set(name, usual)
            await _until_down(gate, None)
        told = [
            (line["event"], line.get("kind"))
            for line in gate.events()
            if str(line["event"]).startswith("store ")
        ]
        events = [event for event, _ in groupby(event for event, _ in told)]
        assert events == ["store up", *["store partly down", "store whole again"] * len(REFUSALS)]
        # A connection that ends when it is refused may be told first, and then why; each once.
        assert all(one != after for one, after in pairwise(told))


async def test_a_master_that_hangs_holds_the_others_up_no_longer_than_the_deadline(
    cluster: StoreServer,
) -> None:
    """And when it answers again, nothing it had acknowledged is lost or accepted twice."""
    with _gate(cluster) as gate:
        await post(gate.url, items("before", COUNT))
        pause_all(cluster.processes[:1])
        try:
            stored = await _post_in_part(gate, "hung", 0)
            await _until_down(gate, 0)
            stored += await _post_in_part(gate, "later", 0)
        finally:
            resume_all(cluster.processes[:1])
        await _until_down(gate, None)
        await post(gate.url, items("hung", COUNT))
        answer = await post(gate.url, items("before", COUNT))
        assert (answer["accepted"], answer["duplicate"]) == (0, COUNT)
        async with open_stream(gate.url, from_="oldest", limit=2 * COUNT) as stream:
            handed = signatures(await stream.rest())
        assert len(set(handed)) == len(handed)
        assert set(handed) <= set(chain(_names("before"), _names("hung"), stored))


async def test_after_the_outage_a_reader_gets_all_in_the_order_in_which_it_was_accepted(
    cluster: StoreServer,
) -> None:
    """Also from where another reader, meanwhile, was given what the others had."""
    early = [item for item in items("early", COUNT) if _master_of(str(item["signature"])) == 0]
    late = [item for item in items("late", COUNT) if _master_of(str(item["signature"])) != 0]
    with _gate(cluster) as gate:
        await post(gate.url, items("zero", 1))
        async with open_stream(gate.url, from_="oldest", limit=1) as stream:
            [zero] = await stream.rest()
        await post(gate.url, early)
        posted_ms = time.time_ns() // 1_000_000
        assert await asyncio.to_thread(wait_until, lambda: time.time_ns() // 1_000_000 > posted_ms, 1)
        await post(gate.url, late)
        pause_all(cluster.processes[:1])
        try:
            await _until_down(gate, 0)
            async with open_stream(gate.url, after=zero["cursor"]) as stream:
                assert sorted(signatures(await stream.take(len(late)))) == sorted(_signatures(late))
        finally:
            resume_all(cluster.processes[:1])
        await _until_down(gate, None)
        async with open_stream(gate.url, after=zero["cursor"]) as stream:
            handed = signatures(await stream.take(len(early) + len(late)))
        assert sorted(handed[: len(early)]) == sorted(_signatures(early))
        assert sorted(handed[len(early) :]) == sorted(_signatures(late))


def _signatures(batch: list[dict[str, object]]) -> list[str]:
    return [str(item["signature"]) for item in batch]
