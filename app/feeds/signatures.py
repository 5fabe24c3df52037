"""Reads signatures as providers write them, so that one transaction has one signature wherever it is from.

Solana's are 64 bytes. RPC writes them in base58, JSON of gRPC in base64 or byte by byte: `[12, 255, …]`,
Node's `{"type": "Buffer", "data": [12, 255, …]}`, a typed array as `{"0": 12, "1": 255, …}`.
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Sequence
from typing import Any

import msgspec

from app.decode.item import InvalidItem
from app.feeds.base58 import SIGNATURE_BYTES, base58_encode
from app.models import SIGNATURE_MAX_CHARS, SIGNATURE_PATTERN, SIGNATURE_RULE

# 64 bytes, each a number of three digits, its place in quotes, and white space of an indented document.
_MOST_BYTES = 64 * 1024
_BASE58_CHARS = range(64, 89)
_BASE64_CHARS = range(86, 89)
_BASE58_BYTES, _BASE58_RAW = range(66, 91), re.compile(rb'"[1-9A-HJ-NP-Za-km-z]+"\Z')
_BASE58 = re.compile(r"[1-9A-HJ-NP-Za-km-z]+\Z")
_PATTERN = re.compile(SIGNATURE_PATTERN)
_text_decoder = msgspec.json.Decoder(str)
_decoder = msgspec.json.Decoder()


def plain_signature(raw: bytes | msgspec.Raw, name: str = "signature") -> str:
    """Return a signature that is text already, as it stands; `name` is the field's, for the error.

    Raises:
        InvalidItem: it is none.
    """
    try:
        text = _text_decoder.decode(raw)
    except (ValueError, RecursionError):
        text = ""
    if not _PATTERN.match(text):
        raise InvalidItem(f"{name}: {SIGNATURE_RULE}; {_found(raw)} was found")
    return text


def any_signature(raw: bytes | msgspec.Raw, name: str = "signature") -> str:
    """Return Solana's base58 of a signature in any of the forms.

    Raises:
        InvalidItem: it is none.
    """
    value = None
    if len(raw) in _BASE58_BYTES and _BASE58_RAW.match(raw):  # as RPC writes it, which is nearly always
        return bytes(raw)[1:-1].decode()
    if len(raw) <= _MOST_BYTES:
        try:
            value = _decoder.decode(raw)
        except (ValueError, RecursionError):
            value = None
    data = _base64(value) if isinstance(value, str) else _listed(value)
    if isinstance(data, str):
        return plain_signature(raw, name)
    if data is None or len(data) != SIGNATURE_BYTES:
        length = "" if data is None else f" of {len(data)} bytes"
        raise InvalidItem(
            f"{name}: {SIGNATURE_BYTES} bytes, or their base58 or base64; {_found(raw)}{length} was found"
        )
    return base58_encode(data)


def _base64(text: str) -> bytes | str:
    """Return the bytes of base64; any other text is returned, which is base58 or to be told what is wrong."""
    if len(text) not in _BASE64_CHARS or (_BASE58.match(text) and len(text) in _BASE58_CHARS):
        return text
    padded = text.rstrip("=").replace("-", "+").replace("_", "/") + "=="
    try:
        data = b64decode(padded, validate=True)
    except (Error, ValueError):
        return text
    return data if len(data) == SIGNATURE_BYTES else text


def _listed(value: Any) -> bytes | None:
    if isinstance(value, dict):
        value = value["data"] if "data" in value else [value.get(str(at)) for at in range(len(value))]
    if not isinstance(value, list):
        return None
    try:
        return bytes(value)
    except (ValueError, TypeError):
        return None


def _found(raw: bytes | msgspec.Raw) -> str:
    """Name what stands in a signature's place."""
    start = bytes(raw)[:1] if len(raw) <= _MOST_BYTES else bytes(memoryview(raw)[:1])
    if not start:
        return "nothing"
    names = {b'"': "a text", b"[": "an array", b"{": "an object", b"n": "null", b"t": "true", b"f": "false"}
    return names.get(start, "a number")


def are_base58(texts: Sequence[str]) -> bool:
    """Tell whether each is as Solana writes a signature, which is kept as it stands; all of them at once."""
    lengths = set(map(len, texts))
    return (
        min(lengths) in _BASE58_CHARS
        and max(lengths) in _BASE58_CHARS
        and bool(_BASE58.match("".join(texts)))
    )


def are_signatures(texts: Sequence[str]) -> bool:
    """Tell whether each is 1 to 128 visible ASCII characters; all of them at once, for they are many."""
    joined = "".join(texts)
    is_visible = joined.isascii() and joined.isprintable() and " " not in joined
    return is_visible and all(texts) and max(map(len, texts)) <= SIGNATURE_MAX_CHARS
