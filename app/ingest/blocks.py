"""Encodes the transactions of one flush as a block: joined and compressed together (zstd level 1, RFC 8878).

Payloads of one moment resemble one another, so that together they take less than one by one. The store keeps
a block whole, and for each signature the number of its block and its position in there.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import zstandard

from app.decode.columns import Columns
from app.models import Transaction

LEVEL = 1


class Record(NamedTuple):
    """One transaction of a block, without its signature, by which it is found."""

    source: str
    slot: int | None
    payload: bytes


_compressor = zstandard.ZstdCompressor(level=LEVEL)
_decompressor = zstandard.ZstdDecompressor()
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Record])


def encode_block(transactions: Sequence[Transaction]) -> bytes:
    """Return the block of transactions, in their order."""
    columns = Columns.of(transactions)
    rows = zip(columns.sources, columns.slots, columns.payloads, strict=True)
    records = [(source, slot, memoryview(payload)) for source, slot, payload in rows]
    return _compressor.compress(_encoder.encode(records))


def decode_block(block: bytes) -> list[Record]:
    """Return the records of a block, by position."""
    return _decoder.decode(_decompressor.decompress(block))
