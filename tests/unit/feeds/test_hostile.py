"""Bodies made to break the reader or to keep it busy: it says a sentence, and others get their turns."""

import asyncio
import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import BodyTooLarge, InvalidRequest, MalformedBody
from app.feeds.feed_rules import NO_RULES, FeedRules, MappedShape
from app.feeds.provider_body import read_provider_body
from app.models import Transaction
from tests.support.deliveries import LIMITS, Read, compact, read, real_body, sale, yellowstone_update
from tests.support.real_payloads import FILES

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
BARE = compact({"transaction": sale()["transaction"], "meta": sale()["meta"]})
BODIES = [
    *map(real_body, FILES),
    real_body("solana_docs_logsNotification.json"),
    real_body("solana_docs_blockNotification_base64.json"),
    compact(yellowstone_update([7] * 64)),
    b'{"data":[{"blockhash":"x","slot":5,"transactions":['
    + BARE[:600]
    + b',{"signature":"A"}]}],"metadata":{}}',
    b'{"signature":"A","slot":5,"payload":{"a":1}}\n{"signature":"B","type":"X"}\n[{"signature":"C"}]',
]
SMALL = [body for body in BODIES if len(body) < 12_000]
BEFORE, AFTER = b'{"signature":"before"}', b'{"signature":"after","type":"X"}'
MAPPED = FeedRules(MappedShape("/result", "/transaction/signatures/0", "/slot"))
SKIPPING = FeedRules(skip=frozenset(("votes", "failed")))
PIECES = [
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
        b":",
        b"\\",
        b"\\u",
        b"\\ud83d",
        b"\n",
        b" ",
        b"\x00",
        b"\xff",
        b"null",
    ),
    *(
        b"NaN",
        b"-",
        b"1e999",
        b"9" * 400,
        b"true",
        b"[" * 1500,
        b"]" * 1500,
        b'{"a":' * 50,
        b'"signature":"Z",',
    ),
    *(
        b'"signature":',
        b'"slot":',
        b'"transaction":',
        b'"transactions":',
        b'"result":',
        b'"jsonrpc":',
        b'"blockhash":',
    ),
    *(
        b'"signatures":[]',
        b'"data":',
        b'"isVote":true,',
        b'"value":',
        b'"context":{},',
        b'["!","base64"]',
        b"[1,2]",
    ),
]


def mutated(random: Random) -> bytes:
    """A real body with some of its bytes cut out, doubled, or replaced."""
    body = random.choice(SMALL)
    for _ in range(random.randint(1, 4)):
        start = random.randint(0, len(body))
        end = min(len(body), start + random.choice([0, 0, 1, 1, 2, 8, 60, 1000]))
        piece = random.choice([*PIECES, random.randbytes(2), body[start:end] * 2])
        body = body[:start] + piece + body[end:]
    return body.strip()


# Ten bodies of each example, since drawing them one by one takes Hypothesis longer than reading them.
TEN = st.integers(0, 2**32).map(Random).map(lambda random: [mutated(random) for _ in range(10)])


def _told(body: bytes, rules: FeedRules) -> Read | None:
    """What a body is read as, every error a sentence; None if it is refused as a whole, which is one too."""
    try:
        found = read(body, rules)
    except (InvalidRequest, MalformedBody) as refused:
        found, detail = None, str(refused)
    if found is None:
        assert _is_sentence(detail)
        return None
    assert all(map(_is_sentence, found.errors))
    assert all(map(_is_json, found.payloads))
    return found


def _is_sentence(text: str) -> bool:
    return len(text) > 10 and text.isprintable()


def _is_json(text: bytes) -> bool:
    json.loads(text, parse_int=len, parse_float=len, parse_constant=pytest.fail)
    return True


@settings(max_examples=400)
@given(TEN)
def test_a_mutated_body_is_read_or_told_what_it_is(bodies: list[bytes]) -> None:
    for body in bodies:
        found = _told(body, NO_RULES)
        assert found is None or all(payload in body or payload == b"null" for payload in found.payloads)


@settings(max_examples=200)
@given(TEN, st.sampled_from([MAPPED, SKIPPING]))
def test_a_mutated_body_under_other_rules(bodies: list[bytes], rules: FeedRules) -> None:
    for body in bodies:
        _told(body, rules)


@settings(max_examples=200)
@given(TEN)
def test_the_neighbours_of_a_mutated_line_are_read(bodies: list[bytes]) -> None:
    for body in bodies:
        found = _told(b"\n".join((BEFORE, body.replace(b"\n", b" "), AFTER)), NO_RULES)
        assert found is not None
        assert (found.signatures[0], found.signatures[-1]) == ("before", "after")


@settings(max_examples=200)
@given(TEN)
def test_the_neighbours_of_a_mutated_element_are_read(bodies: list[bytes]) -> None:
    for body in bodies:
        found = _told(b"[" + b",".join((BEFORE, body, AFTER)) + b"]", NO_RULES)
        # A bracket or a quote too many takes the rest of the array with it.
        if _told(body, NO_RULES) is not None and b"\n" not in body:
            assert found is not None
            assert (found.signatures[0], found.signatures[-1]) == ("before", "after")


LONG = {
    "a block": b'{"blockhash":"x","transactions":[' + b",".join([BARE] * 600) + b"]}",
    "tiny elements": b"[" + b"1," * 30_000 + b"1]",
    "empty arrays": b"[" + b"[]," * 60_000 + b"1]",
    "brackets": b"[" * 4 * MIB,
    "brackets that close": b"[" * MIB + b"]" * MIB,
    "documents that are no JSON": b"[" + b'{"signature":"a","type":NaN},' * 3000 + b"1]",
    "a block of arrays": b'{"blockhash":1,"transactions":[' + b"[[[[[[[[[[[[]]]]]]]]]]]]," * 6_000 + b"1]}",
    "half emojis": b'[{"signature":"a","type":"' + b"\\ud83d" * 40_000 + b'"},NaN]',
    "quotes": b'["' + b'\\"' * MIB + b'",NaN]',
    "lines": b"\n".join([b'{"signature":"a"}'] * 5_000),
    "lines that do not end": b"\n".join([b"[" + b"1," * 500] * 3000),
    "members": b"{" + b'"aaaaaaaaaaaaaaaa":1,' * 60_000 + b'"a":1}',
    "names of a block": b'{"blockhash":1,' + b'"transactions":[],' * 60_000 + b'"transactions":[]}',
}


@pytest.mark.parametrize("name", LONG)
async def test_others_get_turns_while_a_long_body_is_read(name: str) -> None:
    """Counted in turns of the event loop, each of which does a bounded piece of the work."""
    body, turns = LONG[name], 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    results, detail = list[object](), "nothing was refused"
    try:
        async for part in read_provider_body(body, LIMITS, NO_RULES, 10_000):
            results += part.results
    except (MalformedBody, BodyTooLarge) as refused:
        detail = str(refused)
    finally:
        task.cancel()
    assert _is_sentence(detail)
    # What the parser refuses as a whole within a millisecond or two needs no turn.
    assert turns >= len(body) // (4 * MIB) or not results
    assert all(isinstance(result, Transaction) for result in results[:1] if name == "a block")
