"""Signatures of a body: it comes from whoever shares a secret with the gate, whole, and a short while ago.

Helius signs nothing: it sends a token, which app/auth.py checks. Two ways of signing are known:

QuickNode:          x-qn-nonce: 8f0c…   x-qn-timestamp: 1764403200   x-qn-signature: 5d41… (hexadecimal)
Standard Webhooks:  webhook-id: msg_1   webhook-timestamp: 1764403200   webhook-signature: v1,b64… v1,b64…

Both are HMAC-SHA256 with the secret over what makes a delivery unlike any other, its second, and the body. A
delivery that is sent again within `max_age_seconds` is accepted again: its transactions are duplicates then.
The second may not lie far ahead either. QuickNode puts nothing between nonce, second and body, so whoever saw
nonce `ab9` with 1764403200 could send nonce `ab` with the same signature and the second 91764403200, which
would stay young for 2,800 years.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from hmac import compare_digest
from hmac import new as new_hmac
from mmap import mmap
from typing import Final, NamedTuple

from app.errors import Unauthorized

Pieces = Sequence[bytes | mmap]
"""A body in pieces, every byte of it."""
Headers = Mapping[bytes, bytes]
Fields = Iterable[tuple[bytes, bytes]]
"""The headers of a request as they came: names in lower case, one may stand twice."""

DEFAULT_MAX_AGE_SECONDS: Final = 300
_SECOND = re.compile(rb"[0-9]{1,12}")
_VISIBLE = re.compile(rb"[ -~]+")


class Scheme(NamedTuple):
    """How a provider signs: its headers, what comes before the body, and how keys and results are written."""

    name: str
    nonce: bytes
    timestamp: bytes
    signature: bytes
    separator: bytes
    """Stands behind the nonce and behind the timestamp, before the body."""
    key: Callable[[bytes], bytes]
    """Makes the key from a line of the file of secrets; raises ValueError with what it should be."""
    written: Callable[[bytes], bytes]
    """Writes a digest as it stands in the header."""
    given: Callable[[bytes], list[bytes]]
    """The signatures in the header, each as `written` would write it."""
    form: re.Pattern[bytes]
    """The pattern that each given signature has to match."""


def _plain_key(secret: bytes) -> bytes:
    return secret


def _decoded_key(secret: bytes) -> bytes:
    """Decode `whsec_` and Base64, of which the prefix and the `=` at the end may be left out."""
    text = secret.removeprefix(b"whsec_").rstrip(b"=")
    try:
        key = b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ValueError("is not `whsec_` followed by Base64")
    return key


def _hexadecimal(digest: bytes) -> bytes:
    return digest.hex().encode()


def _base64(digest: bytes) -> bytes:
    return b64encode(digest).rstrip(b"=")


def _single(header: bytes) -> list[bytes]:
    return [header.lower()]


def _version_1(header: bytes) -> list[bytes]:
    """Find the signatures of version 1; beside them may be others, such as `v1a` with a public key."""
    return [each[3:].rstrip(b"=") for each in header.split(b" ") if each.startswith(b"v1,")]


QUICKNODE: Final = Scheme(
    "quicknode",
    b"x-qn-nonce",
    b"x-qn-timestamp",
    b"x-qn-signature",
    b"",
    _plain_key,
    _hexadecimal,
    _single,
    re.compile(rb"[0-9a-f]{64}"),
)
STANDARD_WEBHOOKS: Final = Scheme(
    "standard-webhooks",
    b"webhook-id",
    b"webhook-timestamp",
    b"webhook-signature",
    b".",
    _decoded_key,
    _base64,
    _version_1,
    re.compile(rb"[A-Za-z0-9+/]{43}"),
)
SCHEMES: Final = {scheme.name: scheme for scheme in (QUICKNODE, STANDARD_WEBHOOKS)}
_SIGNING_HEADERS: Final = frozenset(
    name for scheme in SCHEMES.values() for name in (scheme.nonce, scheme.timestamp, scheme.signature)
)


def signed_headers(fields: Fields) -> dict[bytes, bytes]:
    """Return the headers of a request by their names, as `BodySignature` takes them.

    Of `x-qn-nonce` twice, one reader takes the first and another the last: they verify different things.

    Raises:
        Unauthorized: a header that belongs to a signature stands twice.
    """
    found: dict[bytes, bytes] = {}
    for name, value in fields:
        if name in found and name in _SIGNING_HEADERS:
            raise Unauthorized(f"the header {name.decode()} stands twice; send it once")
        found[name] = value
    return found


class BodySignature:
    """Verifies what one feed signs, with any of the secrets that are valid now."""

    def __init__(
        self, scheme: Scheme, keys: Sequence[bytes], max_age_seconds: float = DEFAULT_MAX_AGE_SECONDS
    ) -> None:
        self.scheme, self.max_age_seconds = scheme, max_age_seconds
        self._keys = tuple(keys)

    @property
    def secrets(self) -> int:
        """How many secrets are valid."""
        return len(self._keys)

    def check_head(self, headers: Headers, now: float) -> None:
        """Return if a request may be signed, by what stands in its head: whoever has no secret can write it.

        `headers` are those of `signed_headers`, `now` is in seconds since the epoch.

        Raises:
            Unauthorized: a header is missing or cannot be, or the timestamp is too far from now.
        """
        scheme = self.scheme
        _header(headers, scheme.nonce)
        self._check_age(_header(headers, scheme.timestamp), now)
        if not self._signatures(headers):
            raise Unauthorized(
                f"no signature in {scheme.signature.decode()} looks like one of {scheme.name}, "
                "so that no secret of this feed can have made it"
            )

    def verify(self, headers: Headers, body: Pieces, now: float) -> None:
        """Return if the body is signed; takes a pass over it for each secret, some 3 ms for 4 MiB.

        Raises:
            Unauthorized: as of `check_head`; or no secret makes this signature. Nothing in it is secret.
        """
        self.check_head(headers, now)
        scheme = self.scheme
        before = scheme.separator.join((headers[scheme.nonce], headers[scheme.timestamp], b""))
        expected = [scheme.written(_digest(key, before, body)) for key in self._keys]
        # All are compared with all, and each in constant time, so that the time tells nothing of a secret.
        given = self._signatures(headers)
        matches = [compare_digest(ours, theirs) for ours in expected for theirs in given]
        if not any(matches):
            raise Unauthorized(
                f"no secret of this feed makes the signature in {scheme.signature.decode()}; "
                "check the secret, and whether the body is signed as it is sent or before gzip (hmac_over)"
            )

    def _signatures(self, headers: Headers) -> list[bytes]:
        given = self.scheme.given(_header(headers, self.scheme.signature))
        return [each for each in given if self.scheme.form.fullmatch(each)]

    def _check_age(self, second: bytes, now: float) -> None:
        name = self.scheme.timestamp.decode()
        if not _SECOND.fullmatch(second):
            raise Unauthorized(f"{name} is not a number of seconds since 1970")
        age = now - int(second)
        if abs(age) > self.max_age_seconds:
            where = "old" if age > 0 else "ahead"
            raise Unauthorized(
                f"{name} is {abs(age):.0f} s {where}, and may be {self.max_age_seconds:g} s; "
                "check both clocks, or max_age_seconds of the feed"
            )


def _header(headers: Headers, name: bytes) -> bytes:
    value = headers.get(name, b"")
    if not value:
        raise Unauthorized(f"the header {name.decode()} is missing; this feed has to sign its bodies")
    if not _VISIBLE.fullmatch(value):
        raise Unauthorized(f"the header {name.decode()} is not visible ASCII")
    return value


def _digest(key: bytes, before: bytes, body: Pieces) -> bytes:
    digest = new_hmac(key, before, "sha256")
    for piece in body:
        digest.update(piece)
    return digest.digest()
