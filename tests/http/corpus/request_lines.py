"""Rules on the request line: methods, targets, protocol names and versions, the white space between them."""

from collections.abc import Callable, Iterable

from tests.http.corpus.message import ALL_BUT_TALKATIVE, BASES, GET, HEAD, POST, Message, Named
from tests.http.corpus.rule import (
    BAD,
    BAD_OR_NOT_IMPLEMENTED,
    BAD_OR_SERVED,
    NO_TUNNEL,
    NOT_IMPLEMENTED,
    SERVED,
    SERVED_AND_CLOSED,
    TOO_LARGE,
    VERSION,
    VERSION_OR_BAD,
    rule,
)

KNOWN_METHODS = [b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE"]
UNKNOWN_METHODS = [
    b"FETCH",
    b"get",
    b"Post",
    b"GETS",
    b"POSTT",
    b"G",
    b"!#$%&'*+-.^_`|~",
    b"X" * 40,
    b"M-SEARCH",
    b"SOURCE",
]
# What llhttp takes for methods of RTSP, and what HTTP/2 begins with.
FOREIGN_METHODS = [b"DESCRIBE", b"SETUP", b"PLAY", b"ANNOUNCE", b"PRI"]
NOT_METHODS = [
    b"",
    b"GE(T",
    b"G\xc9T",
    b"GET\t",
    b"G\x00ET",
    b'"GET"',
    b"GET,POST",
    b"GET/",
    b"\x7fGET",
    b"{}",
    b"G@T",
]
PATHS = [
    b"/",
    b"/livez?",
    b"/livez?a=b&c",
    b"/a%20b",
    b"/a/../b",
    b"//",
    b"/~a-b._c!$&'()*+,;=:@",
    b"/?/?",
    b"/a;b=c/d",
    b"/%e2%82%ac",
]
ABSOLUTE = [
    b"http://gate/livez",
    b"http://gate:80/livez",
    b"http://other/livez",
    b"HTTP://gate/livez",
    b"http://[::1]:80/livez",
    b"https://gate/livez",
]
NOT_TARGETS = [
    b"livez",
    b"?a",
    b"*",
    b"gate:80",
    b"http:/livez",
    b"http://",
    b"://gate/",
    b"/livez#part",
    b"/#",
    b"1",
    b"http//gate/",
]
# Not in the grammar of URIs, but only white space and control characters change where a request line ends.
ODD_IN_PATHS = b'"<>\\^`{|}' + bytes(range(0x80, 0x100, 5))
NEVER_IN_PATHS = bytes([*range(0x20), 0x7F])
MINOR_VERSIONS = [b"HTTP/1.2", b"HTTP/1.3", b"HTTP/1.9"]
MAJOR_VERSIONS = [b"HTTP/0.9", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9"]
NOT_VERSIONS = [
    b"HTTP/1", b"HTTP/1.", b"HTTP/.1", b"HTTP/11.1", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1.01",
    b"HTTP/1,1", b"HTTP/+1.1", b"HTTP/-1.1",
    b"HTTP/1.1x", b"HTTP/x.y", b"HTTP /1.1", b"HTTP/ 1.1", b"HTTP/1 .1", b"HTTP1.1", b"HTTP", b"HTTP/",
    b"1.1", b"HTTP/1.\x00", b"HTTP/\xb2.1", b"HTTP/2",
]  # fmt: skip
NOT_HTTP = [
    b"http/1.1",
    b"Http/1.1",
    b"HTTPS/1.1",
    b"HTP/1.1",
    b"XHTTP/1.1",
    b"ICE/1.0",
    b"RTSP/1.0",
    b"SIP/2.0",
    b"ICY/1.1",
    b"SPDY/3.1",
    b"CoAP/1.0",
]


def _varied(
    bases: dict[str, Message], change: Callable[[Message, bytes], Message], by: Iterable[bytes]
) -> Named:
    """Every base changed by every value, under names of both."""
    for name, base in bases.items():
        for value in by:
            yield f"{name}-{value!r}", bytes(change(base, value))


def _each(characters: bytes) -> list[bytes]:
    return [bytes([character]) for character in characters]


@rule("request-as-it-should-be", SERVED, "RFC 9112 §2.1", "requests without a fault")
def right() -> Named:
    for name, base in (BASES | {"head": HEAD}).items():
        yield name, bytes(base)


@rule(
    "method-known", SERVED, "RFC 9110 §9.1", "a method that HTTP defines, though the resource has not got it"
)
def known_methods() -> Named:
    return _varied({"get": GET, "post": POST}, Message.with_method, KNOWN_METHODS)


@rule("method-unknown", NOT_IMPLEMENTED, "RFC 9110 §9.1, §15.6.2", "a token that is no method of HTTP")
def unknown_methods() -> Named:
    return _varied(ALL_BUT_TALKATIVE, Message.with_method, UNKNOWN_METHODS)


@rule(
    "method-of-another-protocol",
    BAD_OR_NOT_IMPLEMENTED,
    "RFC 9110 §9.1",
    "methods of RTSP, and HTTP/2's preface",
)
def foreign_methods() -> Named:
    yield from _varied(ALL_BUT_TALKATIVE, Message.with_method, FOREIGN_METHODS)


@rule(
    "method-not-a-token", BAD, "RFC 9112 §3.1, RFC 9110 §5.6.2", "a method with characters that no token has"
)
def broken_methods() -> Named:
    return _varied(ALL_BUT_TALKATIVE, Message.with_method, NOT_METHODS)


@rule("target-connect", NO_TUNNEL, "RFC 9110 §9.3.6", "CONNECT, which an origin server may do without")
def connect() -> Named:
    for target in (b"gate:80", b"gate", b"/", b"gate:"):
        yield repr(target), bytes(Message(b"CONNECT %b HTTP/1.1" % target, GET.fields))


@rule(
    "target-origin-form", SERVED, "RFC 9112 §3.2.1", "paths and queries of all characters that they may have"
)
def origin_forms() -> Named:
    return _varied({"get": GET}, Message.with_target, PATHS)


@rule(
    "target-absolute-form",
    SERVED,
    "RFC 9112 §3.2.2",
    "the form that proxies are sent, which servers must accept",
)
def absolute_forms() -> Named:
    yield from _varied({"get": GET}, Message.with_target, ABSOLUTE)
    yield "post", bytes(POST.with_target(b"http://gate/transactions"))


@rule("target-asterisk-form", SERVED, "RFC 9112 §3.2.4", "`OPTIONS *`")
def asterisk_form() -> Named:
    yield "options", bytes(GET.with_line(b"OPTIONS * HTTP/1.1"))


@rule("target-not-a-form", BAD, "RFC 9112 §3.2", "a target of none of the four forms, or with a fragment")
def broken_targets() -> Named:
    return _varied(ALL_BUT_TALKATIVE, Message.with_target, NOT_TARGETS)


@rule(
    "target-odd-character",
    BAD_OR_SERVED,
    "RFC 9112 §3.2, RFC 3986 §3.3",
    "characters that belong percent-encoded",
)
def odd_paths() -> Named:
    return _varied(ALL_BUT_TALKATIVE, Message.with_target, [b"/odd" + odd for odd in _each(ODD_IN_PATHS)])


@rule(
    "target-control-character",
    BAD,
    "RFC 9112 §3.2, §2.2",
    "control characters and spaces inside of the target",
)
def control_paths() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for character in _each(NEVER_IN_PATHS):
            target = base.line.split(b" ")[1]
            # A line feed would end the line; what follows then is a header without a colon.
            yield (
                f"{name}-{character!r}",
                bytes(base.with_line(base.line.replace(target, target + b"?a" + character + b"b"))),
            )


@rule(
    "target-percent-encoding", BAD_OR_SERVED, "RFC 3986 §2.1", "`%` without two hexadecimal digits behind it"
)
def percent_signs() -> Named:
    return _varied({"get": GET}, Message.with_target, [b"/livez?%", b"/livez?%zz", b"/%4", b"/%", b"/%%41"])


@rule("target-long", TOO_LARGE, "RFC 9112 §3", "targets of 1, 8 and 64 KiB")
def long_targets() -> Named:
    return _varied(
        {"get": GET}, lambda base, n: base.with_target(b"/" + b"a" * int(n)), [b"1024", b"8000", b"65536"]
    )


@rule(
    "version-1.0", SERVED_AND_CLOSED, "RFC 9112 §9.3", "HTTP/1.0, which keeps no connection unless asked to"
)
def old_version() -> Named:
    for name, base in {"get": GET, "post": POST, "head": HEAD}.items():
        yield name, bytes(base.with_version(b"HTTP/1.0"))
        yield f"{name}-without-host", bytes(base.without(b"Host").with_version(b"HTTP/1.0"))


@rule("version-1.0-keep-alive", SERVED, "RFC 9112 §9.3", "HTTP/1.0 that asks to keep the connection")
def old_version_kept() -> Named:
    for name, base in {"get": GET, "post": POST, "head": HEAD}.items():
        yield name, bytes(base.with_version(b"HTTP/1.0").plus(b"Connection: keep-alive"))


@rule("version-later-minor", SERVED, "RFC 9110 §2.5", "a higher minor version, to be treated as 1.1")
def later_minors() -> Named:
    return _varied(ALL_BUT_TALKATIVE, Message.with_version, MINOR_VERSIONS)


@rule("version-other-major", VERSION, "RFC 9110 §15.6.6", "a major version that is not 1")
def other_majors() -> Named:
    return _varied(ALL_BUT_TALKATIVE, Message.with_version, MAJOR_VERSIONS)


@rule("version-not-a-version", VERSION_OR_BAD, "RFC 9112 §2.3", "not two digits with a dot between")
def broken_versions() -> Named:
    return _varied(ALL_BUT_TALKATIVE, Message.with_version, NOT_VERSIONS)


@rule(
    "version-of-another-protocol", VERSION_OR_BAD, "RFC 9112 §2.3", "names that are not `HTTP`, in capitals"
)
def foreign_versions() -> Named:
    yield from _varied(ALL_BUT_TALKATIVE, Message.with_version, NOT_HTTP)
    for method in (b"SOURCE", b"OPTIONS", b"DESCRIBE"):
        yield f"ice-{method!r}", bytes(GET.with_method(method).with_version(b"ICE/1.0"))
        yield f"rtsp-{method!r}", bytes(GET.with_method(method).with_version(b"RTSP/1.0"))


@rule("version-missing", VERSION_OR_BAD, "RFC 9112 §3", "a line of HTTP/0.9, without a version")
def no_version() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        bare = base.line.rpartition(b" ")[0]
        yield f"{name}-bare", bytes(base.with_line(bare))
        yield f"{name}-space", bytes(base.with_line(bare + b" "))


@rule(
    "request-line-white-space",
    BAD_OR_SERVED,
    "RFC 9112 §3",
    "other white space than one space between the parts",
)
def white_space() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        method, target, version = base.line.split(b" ")
        for gap in (b"  ", b"\t", b" \t", b"\x0b", b"\x0c", b"\r", b"\x85", b"\xa0"):
            yield f"{name}-first-{gap!r}", bytes(base.with_line(method + gap + target + b" " + version))
            yield f"{name}-second-{gap!r}", bytes(base.with_line(method + b" " + target + gap + version))
        for edge in (b" ", b"\t"):
            yield f"{name}-before-{edge!r}", bytes(base.with_line(edge + base.line))
            yield f"{name}-after-{edge!r}", bytes(base.with_line(base.line + edge))
