"""Blocks: the transactions of one flush, joined and compressed once (zstd level 1, RFC 8878)."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import zstandard

from app.decode.columns import Columns
from app.models import Transaction

LEVEL = 1


class Record(NamedTuple):
    """One transaction of a block; the signature is its key in the index."""

    source: str
    slot: int | None
    payload: bytes


_compressor = zstandard.ZstdCompressor(level=LEVEL)
_decompressor = zstandard.ZstdDecompressor()
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Record])


def encode_block(transactions: Sequence[Transaction]) -> bytes:
    """Join and compress."""
    batch = Columns.of(transactions)
    columns = zip(batch.sources, batch.slots, batch.payloads, strict=True)
    records = [(source, slot, memoryview(payload)) for source, slot, payload in columns]
    return _compressor.compress(_encoder.encode(records))


def decode_block(block: bytes) -> list[Record]:
    """The records of a block, by position."""
    return _decoder.decode(_decompressor.decompress(block))
