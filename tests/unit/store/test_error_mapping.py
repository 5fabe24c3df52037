"""The store's failures are named."""

import pytest
from hiredis import ProtocolError

from app.store.error_mapping import as_store_error
from app.store.shared_connection import AnswerLost, NotConnected, ReplyError
from app.store.store_errors import STORE_ERRORS


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
