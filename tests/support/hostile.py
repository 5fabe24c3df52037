"""Bodies made to keep a gate busy, each small on the wire or allowed by its size, and where they are sent."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import NamedTuple

MIB = 1024 * 1024
JSON, NDJSON = "application/json", "application/x-ndjson"


# Eight blocks of deflate with codes of their own (RFC 1951, section 3.2.7): one for the end of a block alone.
EIGHT_EMPTY_BLOCKS = bytes.fromhex(
    "04c081000000000090ff6b100007020000000040feaf41001c080000000000f9bf060170200000000000e4ff1a"
    "04c081000000000090ff6b100007020000000040feaf41001c080000000000f9bf060170200000000000e4ff1a"
)


class Hostile(NamedTuple):
    """A request's body, made when it is needed."""

    make: Callable[[], bytes]
    media: str = JSON
    coding: str = ""
    path: str = "/transactions"
    method: str = "POST"


def repeated_gzip(piece: bytes, times: int) -> bytes:
    """One gzip member that inflates to a piece so often; the whole is never held."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [deflater.compress(piece) for _ in range(times)]
    return b"".join([*parts, deflater.flush()])


def empty_blocks(size: int) -> bytes:
    """Gzip whose blocks hold no data, each with codes of its own to be read: 11 bytes a block."""
    gzip_header = b"\x1f\x8b\x08" + bytes(7)
    return gzip_header + EIGHT_EMPTY_BLOCKS * (size // len(EIGHT_EMPTY_BLOCKS))


def filled(before: bytes, fill: bytes, after: bytes, size: int) -> bytes:
    """Some bytes, as much of a filling as there is room for, and some more bytes."""
    return before + fill * ((size - len(before) - len(after)) // len(fill)) + after


def _in_item(fill: bytes, last: bytes) -> bytes:
    """An item with the largest payload that is allowed, an array of a filling."""
    return filled(b'{"signature":"s","payload":[', fill, last + b"]}", 256 * 1024)


def _many(item: Callable[[int], bytes], number: int = 10_000) -> bytes:
    return b"[" + b",".join(item(n) for n in range(number)) + b"]"


def _much_to_say() -> bytes:
    """An item with a dozen unknown fields."""
    return b"{%b}" % b",".join(b'"%b%d":1' % (b"\\u0001" * 8, number) for number in range(12))


def _webhook(alerts: bytes) -> bytes:
    return b'{"version":"4","alerts":[%b]}' % alerts


def _alert(number: int) -> bytes:
    members = {
        "status": "firing",
        "labels": {"alertname": f"a{number}", "action": "cleanup"},
        "startsAt": "2026-11-23T04:10:26.739Z",
        "fingerprint": f"{number:016x}",
    }
    return json.dumps(members).encode()


ARRAYS = {
    "8 MiB of empty arrays": Hostile(lambda: filled(b"[", b"[],", b"1]", 8 * MIB)),
    "8 MiB of ones": Hostile(lambda: filled(b"[", b"1,", b"1]", 8 * MIB)),
    "8 MiB of NaN": Hostile(lambda: filled(b"[", b"NaN,", b"1]", 8 * MIB)),
    "32 MiB of empty arrays, gzip": Hostile(lambda: repeated_gzip(b"[" + b"[]," * 21845, 500), coding="gzip"),
    "an item of brackets, 8 MiB": Hostile(lambda: filled(b"[[", b"[],", b"1]]", 8 * MIB)),
    "a string of 8 MiB": Hostile(lambda: filled(b'["', b"x", b'"]', 8 * MIB)),
    "escapes, 32 MiB, gzip": Hostile(
        lambda: gzip.compress(filled(b'["', b"\\n", b'"]', 32 * MIB), 1), coding="gzip"
    ),
    "quotes, 8 MiB": Hostile(lambda: filled(b"[[", b'"",', b"1]]", 8 * MIB)),
    "8 MiB deep": Hostile(lambda: b"[" * 4 * MIB + b"]" * 4 * MIB),
    "a number of 8 MiB": Hostile(lambda: filled(b"[", b"7", b"]", 8 * MIB)),
    "white space in an array, 32 MiB, gzip": Hostile(
        lambda: gzip.compress(filled(b"[", b" ", b"1]", 32 * MIB), 1), coding="gzip"
    ),
    "white space around an object, 32 MiB, gzip": Hostile(
        lambda: gzip.compress(b" " * 16 * MIB + b'{"signature":"w"}' + b" " * 15 * MIB, 1), coding="gzip"
    ),
    "10,000 items cut at no border": Hostile(
        lambda: _many(lambda n: b'{ "signature":"n%d","payload":[{},{"signature":1},{"slot":2}]}' % n)
    ),
    "10,000 valid items": Hostile(lambda: _many(lambda n: b'{"signature":"v%d"}' % n)),
    "10,000 invalid items with much to say": Hostile(
        lambda: (
            b"["
            + b",".join([b"{%b}" % b",".join(b'"%b%d":1' % (b"\\u0001" * 8, m) for m in range(12))] * 9_000)
            + b"]"
        )
    ),
    "items as large as may be": Hostile(
        lambda: b"[" + b",".join([_in_item(b"[[[[[[[[[[[[1]]]]]]]]]]]],", b"1")] * 30) + b"]"
    ),
    "escaped keys beside large payloads": Hostile(
        lambda: b"[" + b",".join([_in_item(b"{},", b"1").replace(b"sign", b"\\u0073ign")] * 30) + b"]"
    ),
    "a key 29,000 times": Hostile(
        lambda: b"[" + b",".join([filled(b"{", b'"slot":1,', b'"signature":"s"}', 255 * 1024)] * 30) + b"]"
    ),
    "lone surrogates": Hostile(
        lambda: b"[" + b",".join([_in_item(b'"\\ud83d\\ude00\\\\\\ud800",', b"1")] * 30) + b"]"
    ),
}
SINGLE = {
    "an item of brackets": Hostile(lambda: _in_item(b"[" * 100 + b"]" * 100 + b",", b"1")),
    "an item of escapes": Hostile(lambda: _in_item(b'"\\\\\\"\\n[[",', b"1")),
    "an item of lone surrogates": Hostile(lambda: _in_item(b'"\\ud800",', b"1")),
    "an item of different escapes": Hostile(
        lambda: (
            b'{"signature":"s","payload":"\\ud800%b"}'
            % b"".join(b"\\u%04x" % code for code in (0xFFFD, *range(0xE000, 0xFFFD), *range(0x100, 0x8000)))
        )
    ),
    "an item with an escaped key": Hostile(lambda: _in_item(b"{},", b"1").replace(b"sign", b"\\u0073ign")),
    "a scalar of 8 MiB": Hostile(lambda: b"1" * 8 * MIB),
    "a string of 32 MiB, gzip": Hostile(
        lambda: gzip.compress(filled(b'"', b"x", b'"', 32 * MIB), 1), coding="gzip"
    ),
    "8 MiB of garbage": Hostile(lambda: b"\xff" * 8 * MIB),
}
LINES = {
    "newlines, 32 MiB, gzip": Hostile(lambda: repeated_gzip(b"\n" * MIB, 31), NDJSON, "gzip"),
    "newlines, 16 MiB": Hostile(lambda: b"\n" * 16 * MIB, NDJSON),
    "blank lines, 16 MiB": Hostile(lambda: b" \r\n" * 5 * MIB, NDJSON),
    "lines of one character, 256 KiB": Hostile(lambda: b"1\n" * (MIB // 8), NDJSON),
    "a line of 32 MiB, gzip": Hostile(lambda: repeated_gzip(b"x" * MIB, 31), NDJSON, "gzip"),
    "white space, 32 MiB, gzip": Hostile(lambda: repeated_gzip(b" " * MIB, 31), NDJSON, "gzip"),
    "large lines, 10 MiB, gzip": Hostile(
        lambda: gzip.compress(b"\n".join([_in_item(b"[" * 100 + b"]" * 100 + b",", b"1")] * 40), 1),
        NDJSON,
        "gzip",
    ),
    "large lines": Hostile(lambda: b"\n".join([_in_item(b"[[[[[[1]]]]]],", b"1")] * 60), NDJSON),
    "NDJSON as JSON": Hostile(lambda: b'{"signature":"s"}\n' * 400_000),
}
GZIP = {
    "empty members, 8 MiB": Hostile(lambda: gzip.compress(b"") * (8 * MIB // 20), NDJSON, "gzip"),
    "empty members as JSON, 8 MiB": Hostile(lambda: gzip.compress(b"") * (8 * MIB // 20), JSON, "gzip"),
    "empty blocks, 8 MiB": Hostile(lambda: empty_blocks(8 * MIB - 200), NDJSON, "gzip"),
    "empty blocks as alerts": Hostile(lambda: empty_blocks(MIB - 200), JSON, "gzip", "/alerts"),
    "members of one byte": Hostile(lambda: gzip.compress(b"\n") * 9_999, NDJSON, "gzip"),
    "a bomb": Hostile(lambda: repeated_gzip(bytes(MIB), 200), JSON, "gzip"),
}
CONTROL = {
    "10 million empty arrays as alerts": Hostile(
        lambda: repeated_gzip(b"[" + b"[]," * MIB, 10), JSON, "gzip", "/alerts"
    ),
    "a MiB of empty arrays as alerts": Hostile(
        lambda: _webhook(filled(b"", b"[],", b"1", MIB - 100)), path="/alerts"
    ),
    "2,000 alerts": Hostile(lambda: _webhook(b",".join(_alert(n) for n in range(2_000))), path="/alerts"),
    "an alert of a thousand labels": Hostile(
        lambda: _webhook(
            b",".join(
                [
                    _alert(1).replace(
                        b'"action"', b",".join(b'"l%d":"x"' % n for n in range(4000)) + b',"action"'
                    )
                ]
                * 15
            )
        ),
        path="/alerts",
    ),
    "white space as alerts": Hostile(lambda: b" " * MIB, path="/alerts"),
    "settings of a MiB": Hostile(
        lambda: filled(b"{", b'"a":1,', b'"b":1}', MIB), path="/settings", method="PATCH"
    ),
    "settings by gzip": Hostile(
        lambda: repeated_gzip(b'{"a":[' * MIB, 6), JSON, "gzip", "/settings", "PATCH"
    ),
}


def _delivered(make: Callable[[], bytes]) -> Hostile:
    return Hostile(make, path="/feeds/hostile")


def _enhanced(number: int) -> bytes:
    """An enhanced transaction of 24,000 members, one of whose names may be `signature` with escapes."""
    return b'{"signature":"m%d","type":"X","x":"\\u0041",%b}' % (
        number,
        b",".join(b'"%d":1' % member for member in range(24_000)),
    )


def _transaction(begin: bytes, fill: bytes, last: bytes) -> bytes:
    """A transaction of Solana as long as may be."""
    start = b'{"meta":null,"transaction":{"signatures":["' + b"5" * 88 + b'"]' + begin
    return filled(start, fill, last + b"}}", 255 * 1024)


FEEDS = {
    "12 transactions of 24,000 members": _delivered(lambda: _many(_enhanced, 12)),
    "a word of 16 MiB": _delivered(lambda: filled(b"[a", b"b", b"]", 16 * MIB)),
    "white space behind NaN, 16 MiB": _delivered(lambda: filled(b"[NaN,", b" ", b"1]", 16 * MIB)),
    "white space in an object, 16 MiB": _delivered(lambda: filled(b"{", b" ", b"}", 16 * MIB)),
    "a name of 16 MiB": _delivered(lambda: filled(b'{"', b"a", b'":1}', 16 * MIB)),
    "a string of 16 MiB": _delivered(lambda: filled(b'["', b"a", b'"]', 16 * MIB)),
    "escapes in a string, 16 MiB": _delivered(lambda: filled(b'["', b"\\n", b'"]', 16 * MIB)),
    "emojis in a string, 16 MiB": _delivered(lambda: filled(b'["', b"\\ud83d\\ude00", b'"]', 16 * MIB)),
    "escapes behind NaN, 16 MiB": _delivered(lambda: filled(b'[NaN,"', b"\\n", b'"]', 16 * MIB)),
    "a string of 16 MiB in a transaction": _delivered(lambda: filled(b'[{"meta":"', b"a", b'"}]', 16 * MIB)),
    "a line of 16 MiB": _delivered(lambda: filled(b"{}\n", b"x", b"\n{}", 16 * MIB)),
    "white space between lines, 16 MiB": _delivered(lambda: filled(b"{}\n", b" ", b"\n{}", 16 * MIB)),
    "white space between elements, 16 MiB": _delivered(
        lambda: filled(b"[", b"1," + b" " * 60_000, b"1]", 16 * MIB)
    ),
    "documents that are no JSON at their end": _delivered(
        lambda: _many(lambda _: filled(b'{"transaction":{"a":[', b"[],", b"NaN]}}", MIB - 8), 2)
    ),
    "transactions of brackets": _delivered(
        lambda: _many(lambda _: _transaction(b',"message":[', b"[" * 9 + b"]" * 9 + b",", b"1]"), 8)
    ),
    "transactions of signatures": _delivered(
        lambda: _many(lambda _: _transaction(b',"message":{},"signatures":[', b'"",', b'""]'), 8)
    ),
    "13,000 tiny transactions": _delivered(
        lambda: _many(lambda n: b'{"signature":"%d","slot":1,"type":1}' % n, 13_000)
    ),
    "24,000 tiny items": _delivered(lambda: _many(lambda n: b'{"signature":"%d"}' % n, 24_000)),
}
BODIES = ARRAYS | SINGLE | LINES | GZIP | CONTROL | FEEDS
