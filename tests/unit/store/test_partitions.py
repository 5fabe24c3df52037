"""Which partition a signature lives in, and which slot of a Cluster that is."""

import pytest
from redis.crc import key_slot as reference_slot

from app.store.partitions import (
    CLUSTER_PARTITIONS,
    SLOTS,
    key_slot,
    partition_of,
    partition_prefixes,
    signature_hash,
)


def test_the_partitions_of_a_cluster_lie_evenly_over_the_slots() -> None:
    slots = [key_slot(prefix.encode()) for prefix in partition_prefixes("tidegate", is_cluster=True)]
    assert [slot // (SLOTS // CLUSTER_PARTITIONS) for slot in slots] == list(range(CLUSTER_PARTITIONS))


def test_signatures_spread_evenly_over_the_partitions() -> None:
    counts = [0] * CLUSTER_PARTITIONS
    for number in range(6000):
        counts[partition_of(signature_hash(f"signature-{number}"), CLUSTER_PARTITIONS)] += 1
    assert min(counts) > 900


@pytest.mark.parametrize("key", ["tidegate:{0}", "plain", "{}empty", "a{b}c{d}", "open{brace", "{{x}}"])
def test_the_slot_of_a_key_is_that_of_the_cluster(key: str) -> None:
    assert key_slot(key.encode()) == reference_slot(key.encode())
