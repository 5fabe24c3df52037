"""The quick way through arrays and blocks of Solana's transactions takes only what the slow way takes."""

import msgspec
import pytest

from app.feeds.feed_rules import NO_RULES, FeedRules
from app.feeds.solana_fast_array import Found, find_transactions
from tests.support.deliveries import LIMITS, compact, read, sale, yellowstone_update
from tests.support.real_payloads import transactions_of

BLOCK = msgspec.json.format(
    msgspec.json.encode(
        {
            "blockhash": "DJjpZ8xhyb9dpYZPBhnMHbBbEYQJSEXWjyJbK1qEsyXX",
            "transactions": [
                msgspec.Raw(one.payload)
                for one in transactions_of("solana_getBlock_100000000_jsonParsed_10tx.json")
            ],
        }
    ),
    indent=-1,
)
RAW = [
    transactions_of(file)[0].minified().payload
    for file in ("helius_raw_nft_sale.json", "solana_getTransaction_mainnet_v0_a.json")
]
ARRAY = b"[" + b",".join(RAW) + b"]"
SKIPPING = FeedRules(skip=frozenset(("votes", "failed")))


def _found(body: bytes, rules: FeedRules = NO_RULES) -> Found | None:
    """What the quick way finds, None if it leaves the body to the slow one."""
    walk = find_transactions(body, LIMITS, rules)
    while True:
        try:
            next(walk)
        except StopIteration as done:
            found: Found | None = done.value
            return found


def _slowly(body: bytes) -> bytes:
    """The same documents in an envelope, of which each is read by itself."""
    return b'{"data":' + body + b"}"


@pytest.mark.parametrize("rules", [NO_RULES, SKIPPING])
@pytest.mark.parametrize("body", [BLOCK, ARRAY, BLOCK.replace(b'{"blockhash"', b'{"slot":7,"blockhash"')])
def test_the_quick_way_reads_what_the_slow_way_reads(body: bytes, rules: FeedRules) -> None:
    assert _found(body, rules) is not None
    quick, slow = read(body, rules, most=3), read(_slowly(body), rules, most=3)
    assert quick == slow
    assert len(quick.signatures) + sum(quick.skipped.values()) == (2 if body is ARRAY else 10)


def test_votes_and_failed_ones_are_left_out_in_the_quick_way() -> None:
    failed = RAW[0].replace(b'"err":null', b'"err":{"InstructionError":[0,"Custom"]}')
    [kept, left_out] = [RAW[1], failed]
    body = b"[" + left_out + b"," + kept + b"]"
    assert _found(body, SKIPPING) is not None
    assert read(body, SKIPPING).skipped == read(_slowly(body), SKIPPING).skipped == {"failed": 1}
    assert read(body, SKIPPING).payloads == [kept]
    assert read(b"[" + left_out + b"]", SKIPPING).shapes == {"solana-transaction": 1}


CHANGES = [
    (b'"slot":', b'"slot":1,"slot":'),
    (b'"slot":', b'"slot":-'),
    (b'"slot":', b'"slot":99999999999'),
    (b'"slot":', b'"slot": '),
    (b'"meta":', b'"\\u0073lot":1,"meta":'),
    (b'"meta":', b'"filters":["a"],"createdAt":"b","meta":'),
    (b'"meta":', b'"jsonrpc":"2.0","meta":'),
    (b'"meta":', b'"deep":' + b"[" * 200 + b"]" * 200 + b',"meta":'),
    (b'"meta":{', b'"meta":{"a":"\xff",'),
    (b'"signatures":["', b'"signatures":["/'),
    (b'"signatures":["', b'"signatures":["A","'),
    (b'"signatures":[', b'"signatures":[],"signatures":['),
    (b'"signatures":[', b'"signatures":[null,'),
    (b'"transaction":{', b'"transaction":null,"transaction":{'),
    (b'"transaction":{', b'"transaction":{"signature":"A","index":1,'),
    (b'"transaction":{', b'"transaction":{"a":}'),
    (b"}", b"},"),
    (b"}", b"]"),
]


@pytest.mark.parametrize(
    ("body", "old", "new"),
    [(body, *change) for change in CHANGES for body in (ARRAY, BLOCK) if change[0] in body],
)
def test_what_is_not_just_valid_transactions_is_left_to_the_slow_way(
    body: bytes, old: bytes, new: bytes
) -> None:
    assert _found(body.replace(old, new, 1)) is None


AROUND = [
    (b'{"blockhash":"', b'{"blockhash":"a","transactions":[],"blockhash":"'),
    (b'{"blockhash":"', b'{"slot":1,"slot":2,"blockhash":"'),
    (b'{"blockhash":"', b'{"slot":-1,"blockhash":"'),
    (b'{"blockhash":"', b'{"a":{"blockhash":"'),
    (b'{"blockhash":"', b'{"jsonrpc":"2.0","blockhash":"'),
    (b'{"blockhash":"', b'{"transactions\\u005b":[],"blockhash":"'),
    (b'{"blockhash":"', b'{"blockhash":'),
]


@pytest.mark.parametrize("change", AROUND)
def test_a_block_that_is_not_just_a_block_is_left_to_the_slow_way(change: tuple[bytes, bytes]) -> None:
    assert _found(BLOCK.replace(*change, 1)) is None


def test_a_block_cut_off_or_with_more_behind_it_is_left_to_the_slow_way() -> None:
    for body in (BLOCK[:-1], BLOCK[:-2], BLOCK + b"}", BLOCK + b"\n" + BLOCK, BLOCK[:-2] + b"," + BLOCK[-2:]):
        assert _found(body) is None


def test_other_shapes_are_left_to_the_slow_way() -> None:
    documents: list[object] = [[yellowstone_update("A")], [sale()["meta"]], [[sale()]], [], [1], {}, None]
    for document in documents:
        assert _found(compact(document)) is None
