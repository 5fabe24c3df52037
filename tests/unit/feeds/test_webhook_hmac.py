"""Signatures of bodies: what is let in, and what is refused with which sentence."""

import base64
import secrets as random_secrets
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from app.errors import Unauthorized
from app.feeds.webhook_hmac import QUICKNODE, STANDARD_WEBHOOKS, BodySignature, Scheme, signed_headers
from tests.support.signed import (
    NONCE,
    QUICKNODE_SECRET,
    WEBHOOK_SECRET,
    quicknode_headers,
    webhook_headers,
)

Sign = Callable[[bytes, int], dict[bytes, bytes]]

NOW = 1764403200
BODY = b'[{"signature":"5BNbFfw7","slot":311000000}]'


def _accepting(scheme: Scheme, *secrets: str) -> BodySignature:
    return BodySignature(scheme, [scheme.key(secret.encode()) for secret in secrets])


QUICKNODE_FEED = _accepting(QUICKNODE, QUICKNODE_SECRET)
WEBHOOK_FEED = _accepting(STANDARD_WEBHOOKS, WEBHOOK_SECRET)
BOTH = pytest.mark.parametrize(
    ("feed", "sign"), [(QUICKNODE_FEED, quicknode_headers), (WEBHOOK_FEED, webhook_headers)]
)


def _refusal(feed: BodySignature, headers: dict[bytes, bytes], body: bytes = BODY, now: float = NOW) -> str:
    with pytest.raises(Unauthorized) as refused:
        feed.verify(headers, [body], now)
    return str(refused.value)


def _refusal_of_head(feed: BodySignature, headers: dict[bytes, bytes], now: float = NOW) -> str:
    with pytest.raises(Unauthorized) as refused:
        feed.check_head(headers, now)
    return str(refused.value)


def test_quicknode_signs_as_openssl_does() -> None:
    # printf '%s' "$NONCE$NOW$BODY" | openssl dgst -sha256 -hmac "$QUICKNODE_SECRET"
    known = b"d1a94bb8c3726b03a6e9989f61ddfbd87cf77aab756484a6f80ee383a3657cad"
    headers = {
        b"x-qn-nonce": NONCE.encode(),
        b"x-qn-timestamp": b"1764403200",
        b"x-qn-signature": known,
    }
    QUICKNODE_FEED.verify(headers, [BODY], NOW)
    QUICKNODE_FEED.verify(headers | {b"x-qn-signature": known.upper()}, [BODY], NOW)


def test_standard_webhooks_sign_as_svix_shows_in_its_documentation() -> None:
    # https://docs.svix.com/receiving/verifying-payloads/how-manual
    headers = {
        b"webhook-id": b"msg_loFOjxBNrRLzqYUf",
        b"webhook-timestamp": b"1731705121",
        b"webhook-signature": b"v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
    }
    WEBHOOK_FEED.verify(headers, [b'{"event_type":"ping","data":{"success":true}}'], 1731705121)


@pytest.mark.slow
@given(key=st.binary(min_size=1, max_size=64), body=st.text(max_size=200))
def test_whatever_the_library_of_standard_webhooks_signs_is_accepted(key: bytes, body: str) -> None:
    secret = f"whsec_{base64.b64encode(key).decode()}"
    sent = body.encode()
    headers = webhook_headers(sent, NOW, secret)
    _accepting(STANDARD_WEBHOOKS, secret).verify(headers, [sent], NOW)
    _accepting(STANDARD_WEBHOOKS, secret.removeprefix("whsec_").rstrip("=")).verify(headers, [sent], NOW)
    assert "no secret" in _refusal(WEBHOOK_FEED, headers, sent)


def test_what_is_accepted_the_library_of_standard_webhooks_accepts_too() -> None:
    second = int(time.time())  # the library reads the clock itself
    headers = webhook_headers(BODY, second)
    WEBHOOK_FEED.verify(headers, [BODY], second)
    as_text = {name.decode(): value.decode() for name, value in headers.items()}
    assert Webhook(WEBHOOK_SECRET).verify(BODY, as_text)


@BOTH
def test_a_body_is_verified_however_it_was_cut(feed: BodySignature, sign: Sign) -> None:
    headers = sign(BODY, NOW)
    for at in range(len(BODY)):
        feed.verify(headers, [BODY[:at], BODY[at:]], NOW)


@BOTH
def test_what_anybody_can_write_into_a_head_passes_until_the_body_is_there(
    feed: BodySignature, sign: Sign
) -> None:
    headers = sign(b"another", NOW)
    feed.check_head(headers, NOW)
    assert "no secret" in _refusal(feed, headers)


@BOTH
def test_a_delivery_that_is_sent_again_is_accepted_again(feed: BodySignature, sign: Sign) -> None:
    headers = sign(BODY, NOW)
    feed.verify(headers, [BODY], NOW + 1)
    feed.verify(headers, [BODY], NOW + 299)


@BOTH
def test_a_body_that_was_changed_is_refused(feed: BodySignature, sign: Sign) -> None:
    headers = sign(BODY, NOW)
    assert "no secret of this feed" in _refusal(feed, headers, BODY + b" ")
    assert "no secret of this feed" in _refusal(feed, headers, b"")


@BOTH
def test_the_timestamp_may_be_off_by_the_bound_in_both_directions(feed: BodySignature, sign: Sign) -> None:
    headers = sign(BODY, NOW)
    feed.verify(headers, [BODY], NOW + 300)
    feed.verify(headers, [BODY], NOW - 300)
    for refusal in (_refusal_of_head(feed, headers, NOW + 301), _refusal(feed, headers, now=NOW + 301)):
        assert "301 s old, and may be 300 s" in refusal
    assert "301 s ahead, and may be 300 s" in _refusal_of_head(feed, headers, NOW - 301)


@BOTH
@pytest.mark.parametrize(
    "second", [b"soon", b"-1764403200", b"1764403200.0", b" 1764403200", b"1_764", b"9" * 13]
)
def test_a_timestamp_that_is_no_number_of_seconds_is_refused(
    feed: BodySignature, sign: Sign, second: bytes
) -> None:
    headers = sign(BODY, NOW) | {feed.scheme.timestamp: second}
    assert "is not a number of seconds since 1970" in _refusal_of_head(feed, headers)


def test_no_digit_can_be_moved_from_the_nonce_to_the_timestamp() -> None:
    headers = quicknode_headers(BODY, NOW, nonce="ab9")
    moved = headers | {b"x-qn-nonce": b"ab", b"x-qn-timestamp": b"9" + headers[b"x-qn-timestamp"]}
    assert "ahead" in _refusal(QUICKNODE_FEED, moved)


@BOTH
@pytest.mark.parametrize("which", ["nonce", "timestamp", "signature"])
def test_a_header_that_is_missing_empty_or_no_ascii_is_refused_by_its_name(
    feed: BodySignature, sign: Sign, which: str
) -> None:
    name: bytes = getattr(feed.scheme, which)
    headers = sign(BODY, NOW)
    without = {other: value for other, value in headers.items() if other != name}
    assert _refusal_of_head(feed, without).startswith(f"the header {name.decode()} is missing")
    assert _refusal_of_head(feed, headers | {name: b""}).startswith(f"the header {name.decode()} is missing")
    for value in ("é".encode(), "é".encode("latin-1"), b"\xff\xfe", b"\0"):
        refusal = _refusal_of_head(feed, headers | {name: value})
        assert refusal == f"the header {name.decode()} is not visible ASCII"


@BOTH
@pytest.mark.parametrize("which", ["nonce", "timestamp", "signature"])
def test_a_header_of_a_signature_that_stands_twice_is_refused(
    feed: BodySignature, sign: Sign, which: str
) -> None:
    name: bytes = getattr(feed.scheme, which)
    fields = [*sign(BODY, NOW).items(), (b"accept", b"a"), (b"accept", b"b")]
    feed.verify(signed_headers(fields), [BODY], NOW)
    with pytest.raises(Unauthorized, match=f"the header {name.decode()} stands twice"):
        signed_headers([*fields, (name, dict(fields)[name])])


@BOTH
def test_a_bearer_token_is_no_signature(feed: BodySignature, sign: Sign) -> None:
    del sign
    assert "is missing; this feed has to sign" in _refusal(feed, {b"authorization": b"Bearer token"})


@BOTH
@pytest.mark.parametrize("given", [b"v1,", b"v1", b"v2,abc", b"0", b"v1,AAAA v1a,BBBB", b"=", b"v1,= v1,=="])
def test_a_signature_that_is_none_is_refused(feed: BodySignature, sign: Sign, given: bytes) -> None:
    assert "no secret" in _refusal_of_head(feed, sign(BODY, NOW) | {feed.scheme.signature: given})


def test_each_of_several_secrets_is_valid_until_it_is_taken_away() -> None:
    old, new = "old-secret", "new-secret"
    both = _accepting(QUICKNODE, old, new)
    assert both.secrets == 2
    for secret in (old, new):
        both.verify(quicknode_headers(BODY, NOW, secret), [BODY], NOW)
    assert "no secret" in _refusal(_accepting(QUICKNODE, new), quicknode_headers(BODY, NOW, old))


def test_one_of_several_signatures_is_enough() -> None:
    other = f"whsec_{base64.b64encode(random_secrets.token_bytes(24)).decode()}"
    headers = webhook_headers(BODY, NOW, other, WEBHOOK_SECRET)
    assert headers[b"webhook-signature"].count(b"v1,") == 2
    WEBHOOK_FEED.verify(headers, [BODY], NOW)
    public = headers[b"webhook-signature"].replace(b"v1,", b"v1a,", 1)
    WEBHOOK_FEED.verify(headers | {b"webhook-signature": public}, [BODY], NOW)


def test_all_secrets_are_compared_with_all_signatures_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare_digest(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("app.feeds.webhook_hmac.compare_digest", compare_digest)
    third = f"whsec_{base64.b64encode(b'third').decode()}"
    feed = _accepting(STANDARD_WEBHOOKS, WEBHOOK_SECRET, third)
    feed.verify(webhook_headers(BODY, NOW, WEBHOOK_SECRET, third), [BODY], NOW)
    assert len(compared) == 4, "the first match ended it"


@BOTH
def test_no_sentence_names_a_secret_or_a_signature(feed: BodySignature, sign: Sign) -> None:
    headers = sign(BODY, NOW)
    right = headers[feed.scheme.signature].decode()
    told = [_refusal(feed, headers, BODY + b"!"), _refusal(feed, headers, now=NOW + 9999)]
    told += [_refusal(feed, headers | {name: "é".encode()}) for name in headers]
    for secret in (QUICKNODE_SECRET, WEBHOOK_SECRET, right):
        assert not any(secret in sentence for sentence in told)


@given(fields=st.dictionaries(st.sampled_from(sorted(quicknode_headers(b"", 0))), st.binary(max_size=40)))
def test_whatever_stands_in_the_headers_is_refused_and_breaks_nothing(fields: dict[bytes, bytes]) -> None:
    _refusal(QUICKNODE_FEED, fields)
