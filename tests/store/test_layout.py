"""Where things lie in the store, and what the scripts are told."""

import asyncio

import msgspec
import pytest
from redis import exceptions as redis_errors
from redis.crc import key_slot

from app import errors
from app.models import MapName
from app.settings import Settings
from app.store.failures import as_store_error
from app.store.partitions import CLUSTER_PARTITIONS, SLOTS, partition_of, partition_prefixes, signature_hash
from app.store.rules import FLUSH_MAX_ITEMS, flush_max_items, map_rules, packed_rules


def test_the_partitions_of_a_cluster_lie_evenly_over_the_slots() -> None:
    slots = [key_slot(prefix.encode()) for prefix in partition_prefixes("tidegate", is_cluster=True)]
    assert [slot // (SLOTS // CLUSTER_PARTITIONS) for slot in slots] == list(range(CLUSTER_PARTITIONS))


def test_signatures_spread_evenly_over_the_partitions() -> None:
    counts = [0] * CLUSTER_PARTITIONS
    for number in range(6000):
        counts[partition_of(signature_hash(f"signature-{number}"), CLUSTER_PARTITIONS)] += 1
    assert min(counts) > 900


def test_a_partition_never_gets_more_in_one_flush_than_its_maps_hold() -> None:
    small = Settings(signatures_limit=100, transactions_limit=60, observations_limit=600)
    assert flush_max_items(small) == 10
    assert flush_max_items(Settings(transactions_limit=1)) == 1
    assert flush_max_items(Settings()) == FLUSH_MAX_ITEMS


def test_limits_are_shared_out_over_the_partitions() -> None:
    rules = msgspec.msgpack.decode(packed_rules(Settings(), 6))
    transactions = rules["maps"]["transactions"]
    assert transactions["limit"] == 1_000_000 // 6
    assert transactions["limit_bytes"] == 256 * 1024 * 1024 // 6
    assert (transactions["retention"], transactions["width"]) == (120_000, 5_000)
    assert (rules["maps"]["signatures"]["retention"], rules["maps"]["signatures"]["width"]) == (5_000, 1_000)


def test_an_emergency_never_cuts_the_retention_of_signatures() -> None:
    rule = map_rules(Settings())[MapName.SIGNATURES]
    assert rule.emergency_retention_seconds == rule.retention_seconds == 5


@pytest.mark.parametrize(
    ("library_error", "kind"),
    [
        (redis_errors.ConnectionError("gone"), "unreachable"),
        (ConnectionResetError("reset"), "unreachable"),
        (asyncio.IncompleteReadError(b"", 5), "unreachable"),
        (redis_errors.TimeoutError("late"), "timeout"),
        (TimeoutError(), "timeout"),
        (redis_errors.AuthenticationError("WRONGPASS"), "denied"),
        (redis_errors.NoPermissionError("no"), "denied"),
        (redis_errors.OutOfMemoryError("OOM"), "full"),
        (
            redis_errors.ResponseError("OOM command not allowed when used memory > 'maxmemory'. script: x"),
            "full",
        ),
        (redis_errors.BusyLoadingError("loading"), "busy"),
        (redis_errors.ResponseError("BUSY Redis is busy running a script"), "busy"),
        (redis_errors.ReadOnlyError("replica"), "read_only"),
        (
            redis_errors.ResponseError("user_script:1: READONLY You can't write against a replica"),
            "read_only",
        ),
        (redis_errors.ClusterDownError("CLUSTERDOWN"), "cluster_down"),
        (redis_errors.ResponseError("WRONGTYPE Operation against a key"), "rejected"),
    ],
)
def test_every_way_the_store_fails_has_a_name(library_error: Exception, kind: str) -> None:
    assert as_store_error(library_error).kind == kind


def test_every_store_error_is_a_503_that_says_when_to_retry() -> None:
    for store_error in errors.STORE_ERRORS:
        assert store_error.status == 503
        assert store_error.retry_after_seconds >= 1
