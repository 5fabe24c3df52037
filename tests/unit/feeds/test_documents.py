"""Documents of each shape as they may be, and what is said of those that are none."""

from collections.abc import Generator

import pytest

from app.decode.item import ItemLimits
from app.errors import BodyTooLarge, MalformedBody
from app.feeds.value_end_by_brackets import bracketed_end
from tests.support.deliveries import RAW_SALE, compact, parts_of, read, real_body, sale

RAW = sale()
BARE = {"transaction": RAW["transaction"], "meta": None}
NO_SLOT_BLOCK = {"blockhash": "x", "parentSlot": 7, "blockHeight": 6, "transactions": [BARE]}
NOTHING = [
    b"[]",
    b"{}",
    b"null",
    b"[[],[[]]]",
    b'{"jsonrpc":"2.0","result":null,"id":1}',
    b'{"jsonrpc":"2.0","result":123,"id":1}',
    b'{"jsonrpc":"2.0","result":true,"id":1}',
    b'[{"jsonrpc":"2.0","result":null,"id":1},{"jsonrpc":"2.0","result":[],"id":2}]',
    b'{"jsonrpc":"2.0","error":{"code":-32009,"message":"Slot 5 was skipped"},"id":1}',
    (
        b'{"jsonrpc":"2.0","method":"blockNotification","params":{"result":{"context":{"slot":5},"value":'
        b'{"slot":5,"err":"BlockStoreError","block":null}},"subscription":1}}'
    ),
    b'{"filters":[],"ping":{},"createdAt":"2025-01-01T00:00:00Z"}',
    b'{"pong":{"id":1}}',
    b'{"filters":["s"],"slot":{"slot":"5","parent":"4","status":1}}',
    b'{"filters":["a"],"account":{"account":{"pubkey":"x"},"slot":"5"},"createdAt":null}',
    b'{"blockhash":"x","transactions":[]}',
    b'{"blockhash":"x","transactions":null}',
    b'{"data":[],"metadata":{"network":"solana-mainnet"}}',
    b'{"data":null,"jsonrpc":"2.0"}',
    b'{"data":null,"metadata":{}}',
    b'{"metadata":{"network":"solana-mainnet"}, "data" : null }',
]


@pytest.mark.parametrize("body", NOTHING)
def test_bodies_that_hold_nothing_are_no_error(body: bytes) -> None:
    assert read(body).results == []


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            b'{"foo":1,"b\\u0061r":2}',
            "an object with foo, bar is no known shape; known are item, helius-enhanced,",
        ),
        (b'"some text"', "a text is no known shape"),
        (b"17", "a number is no known shape"),
        (b"false", "false is no known shape"),
        (b"[null]", "null is no transaction"),
        (b'{"event":"x","data":null}', "an object with event, data is no known shape"),
        (b"[{}]", "an empty object is no known shape"),
        (b'{"signature":"A","foo":1}', "item: unknown field: foo"),
        (b'{"signature":7,"slot":1}', "item: signature: 1 to 128 visible ASCII characters"),
        (b'{"signature":"A B","type":"X"}', "helius-enhanced: signature: 1 to 128 visible ASCII"),
        (b'{"signature":null,"type":"X"}', "helius-enhanced: signature: 1 to 128 visible ASCII"),
        (b'{"signature":"A","type":"X","slot":-1}', "helius-enhanced: slot: an integer from 0 to"),
        (b'{"signature":"A","type":"X","slot":1.5}', "helius-enhanced: slot: an integer from 0 to"),
        (b'{"signature":"A","signature":"B","type":"X"}', "helius-enhanced: key given twice: signature"),
        (
            b'{"signature":"A","\\u0073ignature":"B","type":"X"}',
            "helius-enhanced: key given twice: signature",
        ),
        (b'{"slot":1,"signature":"A","slot":2,"type":"X"}', "helius-enhanced: key given twice: slot"),
        (
            b'{"transaction":{"signatures":[]},"meta":null}',
            "solana-transaction: transaction.signatures is empty",
        ),
        (
            b'{"transaction":{"signatures":7},"meta":null}',
            "solana-transaction: transaction.signatures: an array",
        ),
        (
            b'{"transaction":{"message":{}},"meta":null}',
            "solana-transaction: transaction.signatures is missing",
        ),
        (b'{"transaction":{"signatures":["A"],"signatures":["B"]}}', "solana-transaction: key given twice"),
        (b'{"transaction":["!","base64"],"meta":null}', "solana-transaction: transaction: "),
        (
            b'{"transaction":["AA==","base64"],"meta":null}',
            "solana-transaction: transaction: its bytes hold no",
        ),
        (
            b'{"transaction":["AQ==","base64"],"meta":null}',
            "solana-transaction: transaction: its bytes hold no",
        ),
        (b'{"blockhash":"x","signatures":["A"]}', "solana-block: the block has signatures only"),
        (b'{"blockhash":"x","transactions":7}', "solana-block: transactions: an array"),
        (
            b'{"blockhash":"x","transactions":[],"transactions":[]}',
            "solana-block: key given twice: transactions",
        ),
        (b'{"jsonrpc":"2.0","method":"getBlock","params":[5],"id":1}', "json-rpc: a JSON-RPC request"),
        (
            b'{"jsonrpc":"2.0","error":{"code":-32602,"message":"no"},"id":1}',
            "json-rpc: the answer is an error, -32602",
        ),
        (
            b'{"jsonrpc":"2.0","result":{"epoch":1},"id":1}',
            "json-rpc: an object with epoch is no known shape",
        ),
        (b'{"filters":[],"transaction":{"slot":"5"}}', "yellowstone: transaction.transaction is missing"),
        (
            b'{"transaction":{"transaction":{},"signature":[1,2],"isVote":false},"slot":1}',
            "yellowstone: signature: 64 bytes",
        ),
        (b"[[[[[[[[[[7]]]]]]]]]]", "the transaction is inside of more than 8 arrays and envelopes"),
    ],
)
def test_a_document_that_is_none_is_told_what_it_is(body: bytes, error: str) -> None:
    found = read(body)
    assert len(found.results) == 1
    assert found.errors[0].startswith(error)
    beside = read(b'[{"signature":"A"},' + body + b',{"signature":"B"}]')
    assert (beside.signatures[0], beside.signatures[-1]) == ("A", "B")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "the body is empty"),
        (b'{"signature":"A"', "JSON is cut off (byte 16)"),
        (b'[{"signature":"A"},', "JSON is cut off (byte 19)"),
        (b'{"signature":"A"} x', "trailing characters (byte 18)"),
        (b'{"signature":"A","type":NaN}', "JSON has no NaN: send null or a string instead (byte 24)"),
        (b'{"blockhash":NaN,"transactions":[]}', "JSON has no NaN: send null or a string instead (byte 13)"),
        (b'{"signature":"A","type":"\xff"}', "JSON is not UTF-8 (byte 25)"),
        (b"\xff", "invalid character (byte 0)"),
        (b"nul", "JSON"),
        (b'{"a":1,}', "trailing comma"),
        (b"<html></html>", "invalid character (byte 0)"),
        (b"[" * 100_000, "JSON is nested too deeply"),
    ],
)
def test_what_is_no_json_as_a_whole_is_refused_with_its_place(body: bytes, error: str) -> None:
    with pytest.raises(MalformedBody) as raised:
        read(body)
    assert error in str(raised.value)


def test_a_transaction_that_is_no_json_spoils_no_neighbour() -> None:
    broken = [
        b"NaN",
        b'{"fee":NaN}',
        b"[" * 5000 + b"]" * 5000,
        b'{"signature":"\\ud83d"}',
        b'"\x00"',
        b"01",
        b'{"a":"\xff"}',
    ]
    good = compact(BARE)
    block = (
        b'{"blockhash":"x","transactions":[' + b",".join(b"%s,%s" % (each, good) for each in broken) + b"]}"
    )
    found = read(block)
    assert found.signatures == [None, RAW_SALE.signature] * len(broken)
    assert found.payloads == [good] * len(broken)


def test_half_an_emoji_is_kept_as_it_was_sent() -> None:
    text = b'{"signature":"A","type":"X","description":"\\ud83d","slot":5}'
    envelope = b'{"note":"\\ud83d","jsonrpc":"2.0","id":"\\udc00","result":[' + text + b"]}"
    for body in (text, envelope, b"[" + text + b"]", b'{"jsonrpc":"2.0","result":[' + text + b"]}"):
        assert read(body).payloads == [text]


def test_a_blocks_slot_is_neither_its_parents_nor_its_height() -> None:
    assert read(compact(NO_SLOT_BLOCK)).slots == [None]
    assert read(compact({**NO_SLOT_BLOCK, "slot": 0})).slots == [0]
    assert read(compact({**NO_SLOT_BLOCK, "slot": "0x10"})).slots == [16]


@pytest.mark.parametrize(
    "wrapped",
    [
        [[NO_SLOT_BLOCK], [NO_SLOT_BLOCK]],
        {"data": [NO_SLOT_BLOCK, NO_SLOT_BLOCK], "metadata": {}},
        {"data": [[NO_SLOT_BLOCK, NO_SLOT_BLOCK]]},
    ],
)
def test_quicknodes_blocks_come_in_arrays_of_arrays_with_and_without_an_envelope(wrapped: object) -> None:
    found = read(compact(wrapped))
    assert found.signatures == [RAW_SALE.signature] * 2
    assert found.shapes == {"solana-block": 2}


async def test_a_block_of_10001_is_read_in_parts_and_none_is_lost() -> None:
    transactions = [{"transaction": {"signatures": [f"S{number}"]}, "meta": None} for number in range(10_001)]
    block = compact({"blockhash": "x", "slot": 5, "transactions": transactions})
    parts = await parts_of(block)
    assert [len(part.results) for part in parts] == [10_000, 1]
    signatures = [item.signature for part in parts for item in part.results]  # type: ignore[union-attr]
    assert signatures == [f"S{number}" for number in range(10_001)]


@pytest.mark.parametrize("number", [400, 1200])
def test_a_block_longer_than_one_call_of_the_parser_is_read_alike(number: int) -> None:
    transaction = compact({"transaction": RAW["transaction"], "meta": RAW["meta"]})
    block = (
        b'{"blockhash": "x", "transactions": [' + b" ,\n".join([transaction] * number) + b'], "rewards": []}'
    )
    found = read(b'{"jsonrpc":"2.0","result":' + block + b"}")
    assert found.payloads == [transaction] * number
    cut = block[: len(block) // 2]
    with pytest.raises(MalformedBody, match="cut off"):
        read(cut)
    with pytest.raises(MalformedBody):
        read(block.replace(b'"rewards": []', b'"rewards": [}'))


def test_each_transaction_has_its_own_limits() -> None:
    limits = ItemLimits(max_payload_bytes=60, max_payload_depth=3, default_source="feed-a")
    long = b'{"signature":"A","type":"' + b"x" * 60 + b'"}'
    deep = b'{"signature":"B","type":[[[[]]]]}'
    good = b'{"signature":"C","type":"X"}'
    found = read(b"[" + b",".join([long, deep, good]) + b"]", limits=limits)
    assert found.signatures == [None, None, "C"]
    assert found.errors == [
        f"helius-enhanced: payload has {len(long)} bytes, 60 are allowed",
        "helius-enhanced: payload is nested 5 deep, 3 are allowed",
    ]


def test_an_item_has_the_feed_as_its_source() -> None:
    found = read(b'[{"signature":"A","source":"other","slot":5,"payload":{"a":1}},{"signature":"B"}]')
    assert (found.signatures, found.slots, found.payloads) == (["A", "B"], [5, None], [b'{"a":1}', b"null"])
    assert read(b'{"signature":"A","source":"other","payload":1.0}').payloads == [b"1.0"]


def test_lines_are_recognised_without_a_content_type() -> None:
    found = read(
        b'{"signature":"A"}\r\n\r\n{"signature":NaN}\n[{"signature":"B"},7]\n{"signature":"C"\n{"signature":"D"}'
    )
    assert found.signatures == ["A", None, "B", None, None, "D"]
    assert found.errors[0] == "JSON has no NaN: send null or a string instead (byte 34)"


def test_an_indented_document_that_lacks_a_comma_is_not_taken_for_lines() -> None:
    with pytest.raises(MalformedBody, match=r"\(byte "):
        read(real_body("solana_getTransaction_mainnet_v0_small.json").replace(b"},", b"}", 1))
    assert len(read(real_body("helius_enhanced_transfer.json").replace(b"},", b"}", 1)).errors) == 1


@pytest.mark.parametrize("filler", [b"x", b"x" * 2**21], ids=["short", "long"])
@pytest.mark.parametrize(
    "envelope", [b'{"data":[%b],"other":%b}', b'{"jsonrpc":"2.0","result":%b,"other":%b}']
)
def test_what_stands_beside_the_transactions_is_json_however_long_it_is(
    filler: bytes, envelope: bytes
) -> None:
    transaction = b'{"signature":"A","type":"SWAP"}'
    found = read(envelope % (transaction, b'[NaN,"%b"]' % filler) + b"\n" + transaction)
    assert found.signatures[-1] == "A"
    assert found.signatures[:-1] == [None]


def test_lines_of_which_the_first_is_cut_off_are_read() -> None:
    found = read(b'{"signature":"A\n{"signature":"B"}\n{"signature":"C"}')
    assert found.signatures == [None, "B", "C"]


@pytest.mark.parametrize("body", [b'{"createdAt":"x","slot":5}', b'{"filters":1,"a":2}', b'{"ping":1}'])
def test_other_json_is_not_taken_for_an_update_without_transactions(body: bytes) -> None:
    assert "is no known shape" in read(body).errors[0]


@pytest.mark.slow
def test_a_body_of_too_many_documents_is_refused() -> None:
    with pytest.raises(BodyTooLarge, match="more than 200000 documents"):
        read(b"[" + b"[]," * 200_001 + b"[]]")


def test_the_end_of_what_no_parser_takes_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_from = list[int]()

    def noted(text: bytes, start: int, stop: int, most: int) -> Generator[None, None, int | None]:
        looked_from.append(start)
        return (yield from bracketed_end(text, start, stop, most))

    monkeypatch.setattr("app.feeds.json_values.bracketed_end", noted)
    levels = 20_000
    body = b'{"jsonrpc":"2.0","result":' * levels + b"null" + b"}" * levels
    assert read(body).errors == ["json-rpc: the transaction is inside of more than 8 arrays and envelopes"]
    assert len(looked_from) == len(set(looked_from)) > 1
