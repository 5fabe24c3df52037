"""The quick way through arrays of enhanced documents takes only what the slow way takes."""

from collections.abc import Callable

import msgspec
import pytest

from app.feeds.feed_rules import FeedRules
from tests.support.deliveries import read, real_body

ENHANCED = msgspec.json.decode(real_body("helius_enhanced_25.json"), type=list[msgspec.Raw])


def _slowly(body: bytes) -> bytes:
    """The same documents in an envelope, of which each is read by itself."""
    return b'{"data":' + body + b"}"


@pytest.mark.parametrize("indent", [-1, 0, 2])
def test_the_quick_way_reads_what_the_slow_way_reads(indent: int) -> None:
    body = msgspec.json.format(real_body("helius_enhanced_25.json"), indent=indent)
    quick, slow = read(body), read(_slowly(body))
    skipping = read(body, FeedRules(skip=frozenset(("votes", "failed"))))
    assert (skipping.payloads, skipping.skipped) == (quick.payloads, {})
    assert (quick.signatures, quick.slots, quick.payloads) == (slow.signatures, slow.slots, slow.payloads)
    assert quick.shapes == slow.shapes == {"helius-enhanced": 25}


def _without_byte(error: str) -> str:
    return error.partition(" (byte")[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b'"slot":', b'"slot":1,"slot":', 1),
        lambda text: text.replace(b'"fee":', b'"\\u0073lot":1,"fee":', 1),
        lambda text: text.replace(b'"signature":', b'"signatur":', 1),
        lambda text: text.replace(b'"slot":', b'"slot":-', 1),
        lambda text: text.replace(b'"slot":', b'"slot":9', 1),
        lambda text: text.replace(b'"events":', b'"events":{"slot":1,"a":"' + b"x" * 40 + b'"},"events":', 1),
        lambda text: text.replace(b'"type":"', b'"type":"\xff', 1),
        lambda text: text.replace(b'"fee":', b'"deep":' + b"[" * 200 + b"]" * 200 + b',"fee":', 1),
        lambda text: text.replace(b'"fee":', b'"other":[1],"fee":', 1),
        lambda text: text.replace(b'"signature":"', b'"signature":" ', 1),
    ],
)
def test_the_quick_way_takes_nothing_that_the_slow_way_refuses(change: Callable[[bytes], bytes]) -> None:
    texts = [bytes(text) for text in ENHANCED[:4]]
    body = b"[" + b",".join([texts[0], change(texts[1]), *texts[2:]]) + b"]"
    quick, slow = read(body), read(_slowly(body))
    assert [_without_byte(error) for error in quick.errors] == [_without_byte(error) for error in slow.errors]
    assert (quick.signatures, quick.slots, quick.payloads) == (slow.signatures, slow.slots, slow.payloads)
