"""Reads Solana's transactions as they are on the wire, which RPC gives as `["AbCd…", "base64"]`.

Such a text is the number of signatures, 64 bytes for each, then the message.
"""

from base64 import b64decode
from binascii import Error

import msgspec
from msgspec import Raw

from app.decode.item import InvalidItem
from app.feeds.base58 import SIGNATURE_BYTES, base58_decode, base58_encode

KEY_BYTES = 32
# A packet of the network has 1,232 bytes; later versions allow 4,096, which RPC does not write in base58.
_MOST_CHARS, _MOST_BASE58_CHARS = 16 * 1024, 1700
_encoded_decoder = msgspec.json.Decoder(tuple[str, str])
_text_decoder = msgspec.json.Decoder(str)
_VERSIONED = 0x80
# Solana runs 64 at most; the programs of 4,000 in 12 KiB would take 20 ms.
_MOST_INSTRUCTIONS = 256


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
        InvalidItem: it has none, or is cut off.
    """
    try:
        number, at = _compact(wire, 0)
    except IndexError:
        number, at = 0, 0
    signature = wire[at : at + SIGNATURE_BYTES]
    if not number or len(signature) < SIGNATURE_BYTES:
        raise InvalidItem("transaction: its bytes hold no signature")
    return base58_encode(signature)


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
            return self._programs()
        except IndexError:
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
