"""Which partition a signature lives in, which slot of a Cluster that is, and which master has it."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from redis.crc import key_slot as reference_slot

from app.store.partitions import (
    EARLIER_PARTITIONS,
    LEAST_PARTITIONS,
    MOST_PARTITIONS,
    SLOTS,
    first_prefix,
    is_partition_count,
    key_slot,
    partition_of,
    partition_prefixes,
    partitions_for,
    signature_hash,
)

COUNTS = [4, 8, 16, 32, 64, 128]


def _slots(partitions: int) -> list[int]:
    return [key_slot(prefix.encode()) for prefix in partition_prefixes("tidegate", partitions)]


def _edges(masters: int) -> list[int]:
    return [SLOTS * edge // masters for edge in range(masters + 1)]


def _edges_of_redis_cli(masters: int) -> list[int]:
    """Where its ranges end, each rounded by itself: `clusterManagerCommandCreate` of Redis 7.0."""
    return [0, *(round(SLOTS / masters * number - 1) + 1 for number in range(1, masters)), SLOTS]


@pytest.mark.parametrize("edges_of", [_edges, _edges_of_redis_cli])
@pytest.mark.parametrize("masters", range(1, 33))
def test_each_master_has_about_an_even_share_of_the_partitions(masters: int, edges_of: object) -> None:
    assert callable(edges_of)
    slots, edges = _slots(partitions_for(masters)), edges_of(masters)
    shares = [
        sum(first <= slot < end for slot in slots) / len(slots) * masters for first, end in pairwise(edges)
    ]
    assert sum(shares) == pytest.approx(masters)
    assert 0.8 <= min(shares) <= max(shares) <= 1.25


def test_the_number_of_partitions_grows_with_the_masters_and_has_a_bound() -> None:
    by_masters = {masters: partitions_for(masters) for masters in range(1, 101)}
    assert set(by_masters.values()) == set(COUNTS)
    assert [by_masters[masters] for masters in (1, 2, 3, 5, 6, 9, 32, 33, 100)] == [
        *(4, 4, 16, 16, 32, 32, 64, 128, 128),
    ]
    assert min(by_masters.values()) == LEAST_PARTITIONS
    assert max(by_masters.values()) == MOST_PARTITIONS
    assert all(map(is_partition_count, by_masters.values()))
    assert not any(map(is_partition_count, (0, 1, 3, 12, 256)))


def test_the_table_of_the_page_says_how_many_there_are() -> None:
    page = (Path(__file__).parents[3] / "docs" / "store.md").read_text(encoding="utf-8")
    table = re.search(r"^\| partitions \|(.*)\|\n.*\n\| masters \|(.*)\|$", page, re.MULTILINE)
    assert table is not None
    counts, masters = (row.split("|") for row in table.groups())
    assert [int(count) for count in counts] == COUNTS
    listed = {
        int(number): int(count)
        for count, row in zip(counts, masters, strict=True)
        for number in re.findall(r"\d+", row)
    }
    assert listed == {
        number: partitions_for(number) for number in range(1, 101) if partitions_for(number) < 128
    }


@pytest.mark.parametrize("partitions", COUNTS)
def test_the_partitions_of_a_cluster_lie_evenly_over_the_slots(partitions: int) -> None:
    slots = sorted(_slots(partitions))
    assert {end - start for start, end in pairwise(slots)} == {SLOTS // partitions}


def test_more_partitions_have_those_of_fewer_among_them_and_all_stores_the_first() -> None:
    prefixes = [set(partition_prefixes("p", count)) for count in (1, *COUNTS)]
    assert all(fewer < more for fewer, more in pairwise(prefixes))
    assert {partition_prefixes("p", count)[0] for count in (1, *COUNTS)} == {first_prefix("p")}


def test_the_partitions_of_clusters_begun_earlier_stay_where_they_were() -> None:
    tags = ["{0.1}", "{1.3}", "{2.2}", "{3.10}", "{4.11}", "{5.0}"]
    earlier = partition_prefixes("p", EARLIER_PARTITIONS)
    assert earlier == tuple(f"p:{tag}" for tag in tags)
    assert not set(earlier) & set(partition_prefixes("p", MOST_PARTITIONS))


@pytest.mark.parametrize("partitions", [EARLIER_PARTITIONS, 16])
def test_signatures_spread_evenly_over_the_partitions(partitions: int) -> None:
    counts = [0] * partitions
    for number in range(1000 * partitions):
        counts[partition_of(signature_hash(f"signature-{number}"), partitions)] += 1
    assert min(counts) > 900


@pytest.mark.parametrize("key", ["tidegate:{0}", "plain", "{}empty", "a{b}c{d}", "open{brace", "{{x}}"])
def test_the_slot_of_a_key_is_that_of_the_cluster(key: str) -> None:
    assert key_slot(key.encode()) == reference_slot(key.encode())
