"""Blocks: what a flush stores, and what a reader gets out of it."""

import struct

import msgspec
import pytest
import zstandard

from app.store.blocks import FRAME_MAGIC, Record, decode_frame, parse_block, raw_bytes
from tests.support.deliver import block_of, transaction

FRAME = block_of([transaction(name, payload=number) for number, name in enumerate("abc")])


def _stored(accepted: int, block_count: int, mask: bytes = b"") -> bytes:
    head = (1_700_000_000_123).to_bytes(6) + (1_700_000_000_100).to_bytes(6) + (41).to_bytes(7)
    return head + struct.pack(">HHI", accepted, block_count, raw_bytes(FRAME)) + mask + FRAME


def test_a_record_has_what_was_delivered() -> None:
    assert decode_frame(FRAME)[1] == Record("helius-a", None, b"1", "b")


def test_a_record_of_an_earlier_version_has_no_signature() -> None:
    old = zstandard.compress(msgspec.msgpack.encode([("helius-a", 7, b"{}")]))
    assert decode_frame(old) == [Record("helius-a", 7, b"{}", "")]


def test_a_frame_says_how_many_bytes_it_had() -> None:
    assert raw_bytes(FRAME) == len(zstandard.decompress(FRAME))
    assert raw_bytes(b"") == 0


def test_a_block_that_was_accepted_whole_has_no_mask() -> None:
    block = parse_block(_stored(3, 3))
    assert (block.accepted_ms, block.before_ms) == (1_700_000_000_123, 1_700_000_000_100)
    assert (block.ordinal, block.count) == (41, 3)
    assert (block.mask, block.frame) == (b"", FRAME)
    assert [record.signature for record in block.records()] == ["a", "b", "c"]


@pytest.mark.parametrize(("bits", "accepted"), [(0b101, "ac"), (0b010, "b"), (0b011, "ab")])
def test_only_what_was_accepted_of_a_block_is_read(bits: int, accepted: str) -> None:
    block = parse_block(_stored(len(accepted), 3, bytes([bits])))
    assert "".join(record.signature for record in block.records()) == accepted


def test_a_block_of_format_1_is_its_frame() -> None:
    assert FRAME.startswith(FRAME_MAGIC)
    block = parse_block(FRAME)
    assert (block.count, block.frame) == (0, FRAME)
