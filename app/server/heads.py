"""Parses the heads of requests, from the request line to the empty line.

    POST /transactions?source=helius-a HTTP/1.1
    Host: gate.internal:8080
    Content-Length: 650

httptools parses a head that is whole, and what it leaves out of RFC 9112 is checked here: one valid Host, a
version that is known, codings of which the last is chunked.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

import httptools

Fields = list[tuple[bytes, bytes]]
LINE_END: Final = b"\r\n"
HEAD_END: Final = LINE_END * 2
CHUNKED: Final = -1
# A header takes so much beside its bytes: two objects, a pair of them, and places in a list and in dicts.
HEADER_BYTES: Final = 200

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/(\d)\.(\d)\r\n")
_UPGRADE = re.compile(rb"\r\nupgrade:[\t\x20-\x7e\x80-\xff]*(?=\r\n)", re.IGNORECASE)
# RFC 9112, section 3.2: a name or IPv4 address, or an IP literal in brackets, and perhaps a port.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Za-z.:_~!$&'()*+,;=-]+\])(?::\d*)?")
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_TOKEN_START = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]")


class RefusedError(Exception):
    """A request is refused; the reason is one of the table in `limits.py`, such as `invalid-host`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Head(NamedTuple):
    """A request without its body."""

    method: bytes
    path: bytes
    """The path that was sent, with its escapes and without the query."""
    query: bytes
    version: str
    fields: Fields
    """The headers in the order they came, with their names in lower case."""
    by_name: dict[bytes, bytes]
    """The headers by their names; of several with one name the last."""
    length: int
    """Bytes of the body, or `CHUNKED`."""
    keeps_alive: bool
    expects_continue: bool
    is_plain: bool
    """Whether the target is a path with or without a query, which a fast path may compare."""
    held_bytes: int
    """How much of the memory it takes as long as its request is under way."""

    @property
    def decoded_path(self) -> str:
        """The path with its escapes decoded."""
        path = self.path.decode("ascii")
        return unquote(path) if "%" in path else path


class _Collector:
    """Collects the header lines that httptools finds."""

    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: Fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        # The parser leaves the white space in that may follow a value (RFC 9112, section 5).
        self.fields.append((name.lower(), value.rstrip(b" \t")))


def parse_head(raw: bytes, most_lines: int) -> Head:
    """Parse a head that is whole, from its request line to the empty line.

    Raises:
        RefusedError: it is not valid, or asks for what is not supported.
    """
    count_lines(raw, 0, len(raw) - len(LINE_END), 0, most_lines)
    method, target, version = _request_line(raw)
    lower = raw.lower()
    if b"\r\nupgrade:" in lower:
        # An upgrade is ignored (RFC 9110, section 7.8). The parser, which would stop there, does not see it.
        raw = _UPGRADE.sub(b"", raw)
    collector = _Collector()
    try:
        httptools.HttpRequestParser(collector).feed_data(raw)
    except httptools.HttpParserInvalidMethodError:
        raise RefusedError("not-implemented") from None
    except httptools.HttpParserError:
        raise RefusedError("malformed-request") from None
    fields = collector.fields
    by_name = dict(fields)
    _check_host(lower.count(b"\r\nhost:"), by_name.get(b"host", b""), version)
    path, query, is_plain = _split_target(target)
    return Head(
        method,
        path,
        query,
        version,
        fields,
        by_name,
        _body_length(by_name, fields, version),
        version == "1.1" and (b"close" not in lower or b"close" not in _list_of(fields, b"connection")),
        b"expect" in by_name and version == "1.1" and _expects_continue(fields),
        is_plain,
        len(raw) + HEADER_BYTES * len(fields),
    )


def _request_line(raw: bytes) -> tuple[bytes, bytes, str]:
    line = _REQUEST_LINE.match(raw)
    if line is None:
        raise RefusedError("malformed-request")
    method, target, major, minor = line.groups()
    if major != b"1" or minor not in (b"0", b"1"):
        raise RefusedError("unsupported-version")
    if method == b"CONNECT":
        raise RefusedError("not-implemented")
    return method, target, "1.1" if minor == b"1" else "1.0"


def _check_host(count: int, host: bytes, version: str) -> None:
    if count > 1 or (count == 0 and version == "1.1") or not _HOST.fullmatch(host):
        raise RefusedError("invalid-host")


def _split_target(target: bytes) -> tuple[bytes, bytes, bool]:
    """Split into path, query, and whether it is a plain path; an absolute form has those of its URL."""
    if target.startswith(b"/"):
        whole, fragment, _ = target.partition(b"#")
        path, _, query = whole.partition(b"?")
        return path, query, not fragment
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserError:
        raise RefusedError("malformed-request") from None
    return url.path or b"/", url.query or b"", False


def _body_length(by_name: dict[bytes, bytes], fields: Fields, version: str) -> int:
    if b"transfer-encoding" in by_name:
        _check_codings(fields, version)
        return CHUNKED
    return int(by_name.get(b"content-length", 0))


def _check_codings(fields: Fields, version: str) -> None:
    """Refuse codings unless chunked is the only one: it has to come last and once (RFC 9112, section 6.1)."""
    if version == "1.0":
        raise RefusedError("malformed-request")
    *others, last = _list_of(fields, b"transfer-encoding")
    if last != b"chunked" or b"chunked" in others:
        raise RefusedError("malformed-request")
    if others:
        raise RefusedError("not-implemented")


def _expects_continue(fields: Fields) -> bool:
    if any(item != b"100-continue" for item in _list_of(fields, b"expect")):
        raise RefusedError("unknown-expectation")
    return True


def _list_of(fields: Fields, name: bytes) -> list[bytes]:
    """Return the members of a header that is a list, in lower case."""
    values = b",".join([value for key, value in fields if key == name])
    return [item.strip(b" \t").lower() for item in values.split(b",")]


def count_lines(raw: bytes | bytearray, start: int, end: int, before: int, most_headers: int) -> int:
    """Return how many lines of a head have ended before `end`; `before` of them had before `start`.

    It is given all of a head but the empty line at its end, or what has come of it. What is wrong first is
    what the client is told, so that it does not depend on where the head was cut on its way.

    Raises:
        RefusedError: no head begins like this: it is another protocol, has a line feed alone, or too many
            lines.
    """
    lines, most_lines = before + raw.count(b"\n", start, end), most_headers + 1  # one is the request line
    has_bare = lines - before > raw.count(LINE_END, max(start - 1, 0), end)
    is_bad = _TOKEN_START.match(raw) is None
    if has_bare and not is_bad:
        bare = _BARE_LINE_FEED.search(raw, start, end)
        is_bad = bare is not None and before + raw.count(b"\n", start, bare.start()) <= most_lines
    if is_bad:
        raise RefusedError("malformed-request")
    if lines > most_lines:
        raise RefusedError("too-many-headers")
    return lines
