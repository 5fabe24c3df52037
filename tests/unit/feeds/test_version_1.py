"""Encoded transactions of version 1, which begin with their version and end with their signatures."""

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest

from app.decode.item import InvalidItem
from app.feeds.base58 import base58_decode, base58_encode
from app.feeds.feed_rules import FeedRules
from app.feeds.solana_wire import wire_signature
from tests.support.deliveries import compact, read, real_body

REAL: dict[str, Any] = json.loads(real_body("solana_v1_transaction.json"))["v1_small"]
WIRE = b64decode(REAL["transaction_base64"])
VOTES = FeedRules(skip=frozenset(("votes",)))
VOTE = base58_decode("Vote111111111111111111111111111111111111111")
TOLD = "solana-transaction: transaction: "
PAYER, OTHER = bytes([7]) * 32, bytes([9]) * 32


def _answer(wire: bytes) -> bytes:
    text = b64encode(wire).decode()
    return compact({"slot": REAL["slot"], "transaction": [text, "base64"], "meta": {"err": None}})


def _made(program: bytes, signature: bytes, mask: int = 0x1F) -> bytes:
    """A transaction of one instruction with two accounts and three bytes of data."""
    head = bytes([0x81, 1, 0, 1]) + mask.to_bytes(4, "little") + bytes(32) + bytes([1, 2])
    values = bytes(4 * mask.bit_count())
    return head + PAYER + program + values + bytes([1, 2, 3, 0]) + bytes([0, 1]) + b"abc" + signature


def test_a_real_one_has_the_signature_that_its_explorer_shows() -> None:
    found = read(_answer(WIRE))
    assert (found.signatures, found.slots, found.errors) == ([REAL["signature"]], [REAL["slot"]], [])


def test_two_of_one_payer_with_one_block_hash_are_two() -> None:
    bodies = [_answer(_made(OTHER, bytes([each]) * 64)) for each in (1, 2)]
    assert [read(body).signatures for body in bodies] == [[base58_encode(bytes([e]) * 64)] for e in (1, 2)]


@pytest.mark.parametrize("mask", [0, 0b11, 0x1F, 0xFFFFFFFF])
def test_values_of_its_mask_stand_before_its_instructions(mask: int) -> None:
    assert read(_answer(_made(VOTE, bytes(64), mask)), VOTES).skipped == {"votes": 1}
    assert read(_answer(_made(OTHER, bytes(64), mask)), VOTES).skipped == {}


@pytest.mark.parametrize("wire", [*(WIRE[:at] for at in (1, 2, 4, 42, 43, 80, 120, 131, 195)), WIRE + b"\0"])
def test_one_that_is_cut_off_or_too_long_is_told(wire: bytes) -> None:
    assert read(_answer(wire), VOTES).errors == [TOLD + "its bytes hold no signature"]


def test_one_without_a_signer_is_told() -> None:
    wire = _made(OTHER, b"")
    with pytest.raises(InvalidItem, match="hold no signature"):
        wire_signature(wire[:1] + b"\0" + wire[2:])


def test_a_later_version_is_told() -> None:
    assert read(_answer(b"\x82" + WIRE[1:])).errors == [TOLD + "version 2 is not known"]
