"""What the scripts are told, and how the store's failures are named."""

import struct

import pytest
from hiredis import ProtocolError

from app.models import MapName
from app.settings.model import Settings
from app.store.error_mapping import as_store_error
from app.store.layout import FLUSH_MAX_ITEMS, flush_max_items, map_rules, packed_rules
from app.store.shared_connection import AnswerLost, NotConnected, ReplyError
from app.store.store_errors import STORE_ERRORS


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


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError("refused"), "unreachable"),
        (AnswerLost("gone", is_gone=True), "unreachable"),
        (AnswerLost("gone"), "interrupted"),
        (TimeoutError(), "timeout"),
        (ProtocolError("unexpected first byte"), "unsupported"),
        (ReplyError("ERR max number of clients reached"), "too_many_clients"),
        (ReplyError("WRONGPASS invalid username-password pair"), "denied"),
        (ReplyError("NOAUTH Authentication required."), "denied"),
        (ReplyError("DENIED Redis is running in protected mode"), "denied"),
        (ReplyError("NOPERM this user has no permissions to run the 'info' command"), "denied"),
        (ReplyError("ERR ACL failure in script: No permissions to access a key script: on x"), "denied"),
        (ReplyError("OOM command not allowed when used memory > 'maxmemory'. script: x"), "full"),
        (ReplyError("LOADING Redis is loading the dataset in memory"), "loading"),
        (ReplyError("BUSY Redis is busy running a script"), "busy"),
        (ReplyError("READONLY You can't write against a read only replica."), "read_only"),
        (ReplyError("ERR user_script:1: READONLY You can't write against a replica"), "read_only"),
        (ReplyError("CLUSTERDOWN The cluster is down"), "cluster_down"),
        (ReplyError("WRONGTYPE Operation against a key"), "rejected"),
    ],
)
def test_every_way_the_store_fails_has_a_name(error: Exception, kind: str) -> None:
    assert as_store_error(error).kind == kind


def test_what_kept_a_connection_from_opening_names_the_failure() -> None:
    for cause, kind in [
        (ConnectionRefusedError("refused"), "unreachable"),
        (AnswerLost("closed at once"), "hangs_up"),
        (TimeoutError(), "timeout"),
        (ReplyError("WRONGPASS invalid username-password pair"), "denied"),
        (ReplyError("ERR DB index is out of range"), "no_database"),
    ]:
        error = NotConnected(str(cause))
        error.__cause__ = cause
        assert as_store_error(error).kind == kind


def test_every_store_error_is_a_503_that_says_when_to_retry() -> None:
    for store_error in STORE_ERRORS:
        assert store_error.status == 503
        assert store_error.retry_after_seconds >= 1
