"""What a feed leaves out is counted: votes, and transactions that failed."""

from typing import Any

import pytest

from app.feeds.feed_rules import FeedRules
from tests.support.deliveries import base64_text, compact, read, real_body, sale, wire_of, yellowstone_update

BOTH = FeedRules(skip=frozenset(("votes", "failed")))
BUDGET, VOTE = "ComputeBudget111111111111111111111111111111", "Vote111111111111111111111111111111111111111"
ERROR = {"InstructionError": [0, {"Custom": 1}]}


def _transaction(*programs: str, err: Any = None) -> dict[str, Any]:
    message = {
        **sale()["transaction"]["message"],
        "accountKeys": ["11111111111111111111111111111112", *programs],
    }
    message["header"] = {
        "numRequiredSignatures": 1,
        "numReadonlySignedAccounts": 0,
        "numReadonlyUnsignedAccounts": 0,
    }
    message["instructions"] = [
        {"programIdIndex": at, "accounts": [0], "data": "3Bxs"} for at in range(1, len(programs) + 1)
    ]
    transaction = {"signatures": sale()["transaction"]["signatures"][:1], "message": message}
    return {"transaction": transaction, "meta": {"err": err}, "slot": 5}


def _encoded(whole: dict[str, Any]) -> dict[str, Any]:
    return {**whole, "transaction": [base64_text(wire_of(whole["transaction"])), "base64"]}


def test_the_votes_of_a_real_block_are_left_out() -> None:
    found = read(real_body("solana_getBlock_100000000_jsonParsed_10tx.json"), BOTH)
    kept, left_out = len(found.results), sum(found.skipped.values())
    assert (kept + left_out, found.errors) == (10, [])
    assert found.skipped["votes"] >= 1


def test_a_real_vote_is_left_out_and_a_transfer_is_not() -> None:
    assert read(real_body("solana_docs_getTransaction_vote.json"), BOTH).skipped == {"votes": 1}
    assert len(read(real_body("helius_enhanced_transfer.json"), BOTH).results) == 1


@pytest.mark.parametrize(
    ("change", "skipped"),
    [
        (
            (b'"transactionError":null', b'"transactionError":{"InstructionError":[0,"Custom"]}'),
            {"failed": 1},
        ),
        ((b'"events":{}', b'"events":{"by":"' + VOTE.encode() + b'"}'), {}),
    ],
)
def test_an_array_of_which_one_is_left_out(change: tuple[bytes, bytes], skipped: dict[str, int]) -> None:
    body = real_body("helius_enhanced_25.json")
    changed = body.replace(*change, 1)
    assert changed != body
    found = read(changed, BOTH)
    assert (found.skipped, len(found.results)) == (skipped, 25 - sum(skipped.values()))


@pytest.mark.parametrize("is_encoded", [False, True])
@pytest.mark.parametrize(
    ("programs", "err", "skipped"),
    [
        ([VOTE], None, {"votes": 1}),
        ([BUDGET, VOTE], None, {"votes": 1}),
        ([BUDGET], None, {}),
        ([VOTE, "11111111111111111111111111111113"], None, {}),
        ([], None, {}),
        ([VOTE], ERROR, {"failed": 1}),
        (["11111111111111111111111111111113"], ERROR, {"failed": 1}),
    ],
)
def test_a_vote_has_no_other_instruction(
    programs: list[str], err: Any, skipped: dict[str, int], is_encoded: bool
) -> None:
    whole = _transaction(*programs, err=err)
    found = read(compact(_encoded(whole) if is_encoded else whole), BOTH)
    assert (found.skipped, len(found.results)) == (skipped, 0 if skipped else 1)


@pytest.mark.parametrize(
    ("document", "skipped"),
    [
        ({"signature": "A", "type": "X", "transactionError": ERROR}, {"failed": 1}),
        ({"signature": "A", "type": "X", "transactionError": None}, {}),
        ({"signature": "A", "type": "X", "instructions": [{"programId": VOTE}]}, {"votes": 1}),
        ({"signature": "A", "type": "X", "instructions": []}, {}),
        ({"signature": "A", "err": ERROR, "logs": []}, {"failed": 1}),
        (yellowstone_update([1] * 64, is_vote=True), {"votes": 1}),
        (yellowstone_update([1] * 64), {}),
    ],
)
def test_other_shapes_say_it_in_their_own_way(document: dict[str, Any], skipped: dict[str, int]) -> None:
    found = read(compact(document), BOTH)
    assert (found.skipped, len(found.results)) == (skipped, 0 if skipped else 1)
    assert len(read(compact(document)).results) == 1
