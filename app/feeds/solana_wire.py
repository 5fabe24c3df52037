"""Reads Solana's transactions as they are on the wire, which RPC gives as `["AbCd…", "base64"]`.

Such a text is the number of signatures, 64 bytes for each, then the message. A transaction of version 1
begins with its message, whose first byte is 0x81, and has its signatures at the end.
"""

from base64 import b64decode
from binascii import Error
from typing import NamedTuple

import msgspec
from msgspec import Raw

from app.decode.item import InvalidItem
from app.feeds.base58 import SIGNATURE_BYTES, base58_decode, base58_encode

KEY_BYTES = 32
# A packet of the network has 1,232 bytes; later versions allow 4,096, which RPC does not write in base58.
_MOST_CHARS, _MOST_BASE58_CHARS = 16 * 1024, 1700
_encoded_decoder = msgspec.json.Decoder(tuple[str, str])
_text_decoder = msgspec.json.Decoder(str)
# A number of signatures is below 20, so that no transaction of an earlier version begins with this bit.
_VERSIONED = 0x80
_VERSION_1 = _VERSIONED | 1
_HEADER_BYTES, _MASK_BYTES, _HASH_BYTES, _VALUE_BYTES, _INSTRUCTION_BYTES = 3, 4, 32, 4, 4
# Solana runs 64 at most; the programs of 4,000 in 12 KiB would take 20 ms.
_MOST_INSTRUCTIONS = 256
_NO_SIGNATURE = "transaction: its bytes hold no signature"


def wire_bytes(transaction: bytes | Raw) -> bytes | None:
    """Return the bytes of an encoded transaction, None for one that is written out in JSON.

    Raises:
        InvalidItem: it is an array or a text, but no encoded transaction.
    """
    first = bytes(memoryview(transaction)[:1])
    if first not in (b"[", b'"') or not first:
        return None
    try:
        if first == b'"':
            text, encoding = _text_decoder.decode(transaction), "base58"
        else:
            text, encoding = _encoded_decoder.decode(transaction)
        return _decoded(text, encoding)
    except (ValueError, RecursionError, Error):
        raise InvalidItem(
            'transaction: a text and its encoding, ["…", "base64"] or ["…", "base58"]'
        ) from None


def _decoded(text: str, encoding: str) -> bytes:
    if encoding == "base64" and len(text) <= _MOST_CHARS:
        return b64decode(text, validate=True)
    if encoding == "base58" and len(text) <= _MOST_BASE58_CHARS:
        return base58_decode(text)
    raise ValueError(encoding)


def wire_signature(wire: bytes) -> str:
    """Return the first signature of a transaction.

    Raises:
        InvalidItem: it has none, is cut off, or is of a version that is not known.
    """
    if wire[:1] >= bytes([_VERSIONED]):
        return base58_encode(_version_1(wire).signature)
    try:
        number, at = _compact(wire, 0)
    except IndexError:
        number, at = 0, 0
    signature = wire[at : at + SIGNATURE_BYTES]
    if not number or len(signature) < SIGNATURE_BYTES:
        raise InvalidItem(_NO_SIGNATURE)
    return base58_encode(signature)


class _Version1(NamedTuple):
    """What is read of a transaction of version 1."""

    signature: bytes
    programs: list[bytes | None]
    """The key of the program of each instruction, None for one that is not among its keys."""


def _version_1(wire: bytes) -> _Version1:
    """Read a transaction that begins with its version.

    Behind the version stand its header, a mask, the hash of a block, the numbers of instructions and keys,
    the keys, and 4 bytes for each bit of the mask; then of each instruction its program, the number of its
    accounts and the length of its data; then accounts and data of all of them; then the signatures.

    Raises:
        InvalidItem: it is of another version, or longer or shorter than it says.
    """
    if wire[0] != _VERSION_1:
        raise InvalidItem(f"transaction: version {wire[0] - _VERSIONED} is not known")
    try:
        signatures = wire[1]
        at = 1 + _HEADER_BYTES
        mask = int.from_bytes(wire[at : at + _MASK_BYTES], "little")
        at += _MASK_BYTES + _HASH_BYTES
        instructions, number = wire[at], wire[at + 1]
        start = at + 2
        keys = [wire[start + KEY_BYTES * key : start + KEY_BYTES * (key + 1)] for key in range(number)]
        at = start + KEY_BYTES * number + _VALUE_BYTES * mask.bit_count()
        heads = [wire[at + _INSTRUCTION_BYTES * each :][:_INSTRUCTION_BYTES] for each in range(instructions)]
        at += _INSTRUCTION_BYTES * instructions
        at += sum(head[1] + int.from_bytes(head[2:], "little") for head in heads)
    except IndexError:
        raise InvalidItem(_NO_SIGNATURE) from None
    if not signatures or len(wire) != at + signatures * SIGNATURE_BYTES:
        raise InvalidItem(_NO_SIGNATURE)
    programs = [keys[head[0]] if head[0] < number else None for head in heads]
    return _Version1(wire[at : at + SIGNATURE_BYTES], programs)


def _compact(wire: bytes, at: int) -> tuple[int, int]:
    """Return a number written in 7 bits a byte, and where what follows begins."""
    number = shift = 0
    while True:
        byte = wire[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < _VERSIONED or shift > 2 * 7:
            return number, at


class WireMessage:
    """The message of a transaction on the wire."""

    def __init__(self, wire: bytes) -> None:
        self._wire = wire

    def programs(self) -> list[str | None]:
        """Return the program of each instruction; none at all if there are too many, or it cannot be read."""
        try:
            if self._wire[:1] >= bytes([_VERSIONED]):
                keys = _version_1(self._wire).programs
                return [None if key is None else base58_encode(key) for key in keys]
            return self._programs()
        except (IndexError, InvalidItem):
            return []

    def _programs(self) -> list[str | None]:
        wire = self._wire
        signatures, at = _compact(wire, 0)
        at += signatures * SIGNATURE_BYTES
        at += 1 if wire[at] & _VERSIONED else 0
        number, at = _compact(wire, at + 3)
        if number * KEY_BYTES > len(wire):
            return []
        keys = [wire[at + KEY_BYTES * key : at + KEY_BYTES * (key + 1)] for key in range(number)]
        instructions, at = _compact(wire, at + KEY_BYTES * number + KEY_BYTES)
        if instructions > _MOST_INSTRUCTIONS:
            return []
        programs = list[str | None]()
        for _ in range(instructions):
            program = wire[at]
            accounts, at = _compact(wire, at + 1)
            length, at = _compact(wire, at + accounts)
            at += length
            programs.append(base58_encode(keys[program]) if program < number else None)
        return programs
