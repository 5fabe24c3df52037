"""The benchmark's ledger takes only true answers: a fast service that is wrong is worth nothing."""

import json

import pytest

from benchmarks.common.ledger import Ledger, WrongAnswerError


def answer(accepted: int, duplicates: list[int], invalid: int = 0) -> bytes:
    summary = {"accepted": accepted, "duplicate": len(duplicates), "invalid": invalid}
    return json.dumps(summary | {"duplicates": duplicates, "errors": []}, separators=(",", ":")).encode()


def test_a_batch_accepted_once_in_parts_is_complete() -> None:
    ledger = Ledger(4)
    ledger.note(7, answer(2, [0, 3]))
    ledger.note(7, answer(2, [1, 2]))
    ledger.note(7, answer(0, [0, 1, 2, 3]))
    ledger.close()
    assert ledger.complete == 1


def test_a_store_that_claims_a_signature_twice_or_refuses_is_found() -> None:
    ledger = Ledger(1)
    for line in (b"$-1\r\n", b"+OK\r\n"):
        ledger.note(1, line)
    with pytest.raises(WrongAnswerError, match="accepted a second time"):
        ledger.note(1, b"+OK\r\n")
    with pytest.raises(WrongAnswerError, match="neither accepted nor duplicate"):
        ledger.note(2, b"-OOM command not allowed\r\n")


def test_accepting_a_transaction_twice_is_found() -> None:
    ledger = Ledger(4)
    ledger.note(1, answer(4, []))
    with pytest.raises(WrongAnswerError, match="batch 1: 1 accepted a second time"):
        ledger.note(1, answer(1, [0, 1, 2]))


def test_calling_a_transaction_a_duplicate_that_was_never_accepted_is_found() -> None:
    ledger = Ledger(4)
    ledger.note(1, answer(3, [2]))
    ledger.note(1, answer(0, [0, 1, 2, 3]))
    with pytest.raises(WrongAnswerError, match="1 called duplicates, never accepted"):
        ledger.note(1, answer(0, [0, 1, 2, 3]))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (answer(2, [0]), "does not add up to 4"),
        (answer(3, [], invalid=1), "does not add up to 4"),
        (b'{"accepted":4}', "does not add up to 4"),
        (answer(2, [0, 0]), "2 duplicates, 1 listed"),
        (answer(2, [0, 9]), "2 duplicates, 2 listed"),
    ],
)
def test_an_answer_that_is_none_is_found(body: bytes, why: str) -> None:
    with pytest.raises(WrongAnswerError, match=why):
        Ledger(4).note(0, body)


def test_single_posts_are_accepted_once_too() -> None:
    ledger = Ledger(1)
    for verdict in (b"duplicate", b"accepted", b"duplicate"):
        ledger.note(0, b'{"status":"%b","signature":"a"}' % verdict)
    assert ledger.complete == 1
    with pytest.raises(WrongAnswerError, match="neither accepted nor duplicate"):
        ledger.note(1, b'{"status":"fine"}')


def test_a_batch_some_feed_got_no_answer_about_is_found() -> None:
    ledger = Ledger(4)
    ledger.note(0, answer(4, []))
    with pytest.raises(WrongAnswerError, match="1 batches were not answered to every feed"):
        ledger.close()
