"""What the scripts are told of each map."""

import struct

from app.models import MapName
from app.settings.model import Settings
from app.store.map_rules import FLUSH_MAX_ITEMS, flush_max_items, map_rules, packed_rules


def test_a_partition_never_gets_more_in_one_flush_than_its_maps_hold() -> None:
    small = Settings(signatures_limit=100, transactions_limit=60, observations_limit=600)
    assert flush_max_items(small, 6) == 10
    assert flush_max_items(Settings(transactions_limit=1), 16) == 1
    assert flush_max_items(Settings(), 128) == FLUSH_MAX_ITEMS


def test_limits_are_shared_out_over_the_partitions() -> None:
    _, _, *numbers = struct.unpack(">B29Q", packed_rules(Settings(), 6))
    signatures, transactions = numbers[4:12], numbers[12:20]
    limit, limit_bytes = 1_000_000 // 6, 256 * 1024 * 1024 // 6
    shares = limit // 64, limit_bytes // 64
    assert transactions == [120_000, 60_000, 5_000, 30_000, limit, limit_bytes, *shares]
    assert signatures[:3] == [5_000, 5_000, 1_000]


def test_an_emergency_never_cuts_the_retention_of_signatures() -> None:
    rule = map_rules(Settings())[MapName.SIGNATURES]
    assert rule.emergency_retention_seconds == rule.retention_seconds == 5
