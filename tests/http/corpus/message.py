"""The building blocks: requests that are right, as lines that a rule can take apart and break."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

CRLF = b"\r\n"

# Stand for signatures in all requests. The runner puts others of the same length in their place, which tell
# what came of each single sending.
FIRST = b"first--signature"
SECOND = b"second-signature"

JSON = b'{"signature":"%b"}' % FIRST
TYPE = b"Content-Type: application/json"
HOST = b"Host: gate"


@dataclass(frozen=True)
class Message:
    """A request as its lines, without their ends, and its body as it is framed."""

    line: bytes
    fields: tuple[bytes, ...]
    body: bytes = b""

    def __bytes__(self) -> bytes:
        """As it is sent."""
        return b"".join(line + CRLF for line in (self.line, *self.fields)) + CRLF + self.body

    def with_line(self, line: bytes) -> "Message":
        """With another request line."""
        return replace(self, line=line)

    def with_method(self, method: bytes) -> "Message":
        """With another method."""
        return self.with_line(method + b" " + self.line.partition(b" ")[2])

    def with_target(self, target: bytes) -> "Message":
        """With another request target."""
        method, _, version = self.line.split(b" ")
        return self.with_line(b" ".join((method, target, version)))

    def with_version(self, version: bytes) -> "Message":
        """With another name and version of the protocol."""
        return self.with_line(self.line.rpartition(b" ")[0] + b" " + version)

    def plus(self, *fields: bytes) -> "Message":
        """With more field lines behind the others."""
        return replace(self, fields=self.fields + fields)

    def without(self, name: bytes) -> "Message":
        """Without the field lines of that name."""
        kept = (line for line in self.fields if not line.lower().startswith(name.lower() + b":"))
        return replace(self, fields=tuple(kept))

    def framed(self, *fields: bytes, body: bytes | None = None) -> "Message":
        """With these fields in the place of those that frame the body, and perhaps another body."""
        bare = self.without(b"Content-Length").without(b"Transfer-Encoding").plus(*fields)
        return bare if body is None else replace(bare, body=body)


def length(body: bytes = JSON) -> bytes:
    """The field line that says how long the body is."""
    return b"Content-Length: %d" % len(body)


def chunks(*pieces: bytes) -> bytes:
    """A chunked body of these pieces, without the last chunk and what follows it."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def cut_up(body: bytes) -> tuple[bytes, ...]:
    """The body in single bytes, but for the signature, which the runner has to find."""
    before, signature, after = body.partition(FIRST)
    return (*_single(before), signature, *_single(after))


def _single(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


LAST = b"0\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"

GET = Message(b"GET /livez HTTP/1.1", (HOST,))
HEAD = GET.with_method(b"HEAD")
POST = Message(b"POST /transactions HTTP/1.1", (HOST, TYPE, length()), JSON)
STREAMED = POST.framed(CHUNKED, body=chunks(*JSON.partition(FIRST)) + LAST)
# A client's many fields: the request does not look like the one before it, and still has to come through.
TALKATIVE = POST.plus(
    b"Accept: */*", b"Accept-Encoding: gzip, deflate", b"User-Agent: corpus/1.0", b"X-Source: a"
)

BASES = {"get": GET, "post": POST, "streamed": STREAMED, "talkative": TALKATIVE}
POSTS = {"post": POST, "streamed": STREAMED}
ALL_BUT_TALKATIVE = {"get": GET} | POSTS

Named = Iterable[tuple[str, bytes]]
"""Requests under names that tell the variants of one rule apart."""
