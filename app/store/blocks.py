"""Blocks: the transactions of one flush, joined and compressed together (zstd level 1, RFC 8878).

Payloads of one moment resemble one another, so that together they take less than one by one. The store
keeps a block whole, behind a head that says which acceptances are in it (block_head.lua), and for each
signature the number of its block and its place in there. Say a flush brings A, B and C, and another gate was
first with B:

    head    accepted at 1700000000123, the one before at 1700000000100, ordinals from 41 on, 2 of 3 accepted,
            5,120 bytes uncompressed
    mask    one byte, 0b101: places 0 and 2
    frame   the records of A, B and C, compressed

`records` then returns those of A and C, whose ordinals are 41 and 42.
"""

import struct
from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple, Protocol

import msgspec
import zstandard

LEVEL = 1
FRAME_MAGIC = b"\x28\xb5\x2f\xfd"
"""How every frame of zstd begins. No head does before the year 3388."""
_HEAD = struct.Struct(">6s6s7sHHI")
NOT_RECORDED = ""
"""The signature of a record that has none: one of format 1."""


class Record(NamedTuple):
    """One transaction of a block."""

    source: str
    slot: int | None
    payload: bytes
    signature: str = NOT_RECORDED


class StoredBlock(msgspec.Struct, frozen=True, gc=False):
    """A block as the store holds it."""

    accepted_ms: int
    """When its transactions were accepted, milliseconds since the epoch by the store's clock."""
    before_ms: int
    """When the acceptance before these was; 0 if there was none."""
    ordinal: int
    """How many signatures the partition had accepted before."""
    count: int
    """How many of its transactions were accepted; these have the ordinals from `ordinal` on."""
    mask: bytes
    """Empty if all of its transactions were accepted, else a bit each: that of place 0 is the lowest."""
    frame: bytes

    def records(self) -> list[Record]:
        """Return the accepted ones in order; the record at index i has the ordinal `ordinal` + i."""
        records = decode_frame(self.frame)
        if not self.mask:
            return records
        bits = int.from_bytes(self.mask, "little")
        return list(compress(records, (bits >> place & 1 for place in range(len(records)))))


_compressor = zstandard.ZstdCompressor(level=LEVEL)
_decompressor = zstandard.ZstdDecompressor()
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Record])


class Columns(Protocol):
    """Transactions, as a list for each field: those of app/decode/columns.py."""

    signatures: Sequence[str]
    sources: Sequence[str]
    slots: Sequence[int | None]
    payloads: Sequence[msgspec.Raw]


def encode_block(columns: Columns) -> bytes:
    """Return the frame of transactions, in their order."""
    rows = zip(columns.sources, columns.slots, columns.payloads, columns.signatures, strict=True)
    records = [(source, slot, memoryview(payload), signature) for source, slot, payload, signature in rows]
    return _compressor.compress(_encoder.encode(records))


def raw_bytes(frame: bytes) -> int:
    """Return how many bytes a frame has before compression, as its own header says."""
    return zstandard.frame_content_size(frame) if frame else 0


def decode_frame(frame: bytes) -> list[Record]:
    """Return the records of a frame, by their place."""
    return _decoder.decode(_decompressor.decompress(frame))


def without_signatures(frame: bytes) -> bytes:
    """Return a frame as gates of format 1 read it, whose records have no signatures."""
    if not frame:
        return frame
    records = [(record.source, record.slot, record.payload) for record in decode_frame(frame)]
    return _compressor.compress(_encoder.encode(records))


def parse_block(stored: bytes) -> StoredBlock:
    """Take a stored block apart; one of format 1, which has no head, seems to hold nothing accepted."""
    if stored.startswith(FRAME_MAGIC):
        return StoredBlock(0, 0, 0, 0, b"", stored)
    accepted_ms, before_ms, ordinal, accepted, block_count, _ = _HEAD.unpack_from(stored)
    begins = _HEAD.size
    ends = begins + (0 if accepted == block_count else -(-block_count // 8))
    moments = int.from_bytes(accepted_ms), int.from_bytes(before_ms)
    return StoredBlock(*moments, int.from_bytes(ordinal), accepted, stored[begins:ends], stored[ends:])
