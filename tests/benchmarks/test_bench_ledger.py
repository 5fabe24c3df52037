"""The benchmark's ledger takes only true answers: a fast service that is wrong is worth nothing."""

import json

import pytest

from benchmarks.common.ledger import Ledger, WrongAnswerError


def answer(accepted: int, duplicates: list[int], invalid: int = 0) -> bytes:
    summary = {"accepted": accepted, "duplicate": len(duplicates), "invalid": invalid}
    return json.dumps(summary | {"duplicates": duplicates, "errors": []}, separators=(",", ":")).encode()


def note(ledger: Ledger, *answers: bytes, deliveries: int = 3) -> None:
    """Take answers about the first batch, which is delivered so many times."""
    for number, one in enumerate(answers, 1):
        ledger.note(0, one, is_last=number == deliveries)


def test_a_batch_accepted_once_in_parts_is_complete() -> None:
    ledger = Ledger(4)
    note(ledger, answer(2, [0, 3]), answer(2, [1, 2]), answer(0, [0, 1, 2, 3]))
    assert ledger.complete == 1


def test_a_store_that_claims_a_signature_twice_or_refuses_is_found() -> None:
    with pytest.raises(WrongAnswerError, match="accepted a second time"):
        note(Ledger(1), b"$-1\r\n", b"+OK\r\n", b"+OK\r\n")
    with pytest.raises(WrongAnswerError, match="neither accepted nor duplicate"):
        note(Ledger(1), b"-OOM command not allowed\r\n")


def test_accepting_a_transaction_twice_is_found() -> None:
    with pytest.raises(WrongAnswerError, match="batch 0: 1 accepted a second time"):
        note(Ledger(4), answer(4, []), answer(1, [0, 1, 2]))


def test_calling_a_transaction_a_duplicate_that_was_never_accepted_is_found() -> None:
    with pytest.raises(WrongAnswerError, match="1 called duplicates, never accepted"):
        note(Ledger(4), answer(3, [2]), answer(0, [0, 1, 2, 3]), answer(0, [0, 1, 2, 3]))


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
        note(Ledger(4), body)


def test_single_posts_are_accepted_once_too() -> None:
    ledger = Ledger(1)
    verdicts = b"duplicate", b"accepted", b"duplicate"
    note(ledger, *(b'{"status":"%b","signature":"a"}' % verdict for verdict in verdicts))
    assert ledger.complete == 1
    with pytest.raises(WrongAnswerError, match="neither accepted nor duplicate"):
        note(ledger, b'{"status":"fine"}')
