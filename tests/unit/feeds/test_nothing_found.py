"""A document that is known by its form, and brings no transaction: what it is instead is told."""

import re

import pytest

from tests.support.deliveries import read

_INFO = b'{"signature":"A","isVote":false,"transaction":{"message":{}}}'


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"filters":["c"],"foo":{"slot":"5","transaction":%b}}' % _INFO, "an object with filters, foo"),
        (
            b'{"filters":["c"],"updateOneof":{"$case":"transaction","value":%b}}' % _INFO,
            r"with \$case, value",
        ),
        (b'{"filters":[],"transaction":"abc"}', "it is a text"),
        (b'{"filters":[],"transaction":[1,2]}', "it is an array"),
        (b'{"filters":[],"block":"x"}', "it is a text"),
        (b'{"filters":[],"updateOneof":"x"}', "it is a text"),
        (
            b'{"jsonrpc":"2.0","transaction":{"signatures":["A"],"message":{}},"meta":{},"slot":1}',
            "no result",
        ),
        (b'{"jsonrpc":"2.0","method":"x","params":{"foo":{}}}', "params has no result"),
        (b'{"jsonrpc":"2.0","result":{"context":{"slot":1},"value":5}}', "a number"),
        (
            b'{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xc3","result":"0xabab"}}',
            "json-rpc: a text is no known shape",
        ),
        (
            b'{"jsonrpc":"2.0","method":"rootNotification","params":{"result":42}}',
            "a number is no known shape",
        ),
        (b'{"jsonrpc":"2.0","result":{"context":{"slot":1},"value":{"slot":1,"block":"oops"}}}', "a text"),
    ],
)
def test_what_brings_nothing_without_saying_why_is_told_what_it_is(body: bytes, told: str) -> None:
    found = read(b"[%b,%b]" % (body, b'{"signature":"A","type":"SWAP"}'))
    assert found.signatures == [None, "A"]
    assert re.search(told, found.errors[0]), found.errors
    assert "malformed" not in found.errors[0]


def test_an_update_that_go_has_written_is_read() -> None:
    body = b'{"filters":["c"],"UpdateOneof":{"Transaction":{"transaction":%b,"slot":5}}}' % _INFO
    assert read(body).signatures == ["A"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"result":"0xc3"}',
        b'{"jsonrpc":"2.0","id":1,"result":23784}',
        b'{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xc3","result":null}}',
    ],
)
def test_what_acknowledges_a_subscription_or_is_null_brings_nothing(body: bytes) -> None:
    assert read(body).results == []


_TX = b'{"signature":"A","payload":{}}'


@pytest.mark.parametrize(
    ("body", "beside"),
    [
        (b'{"id":1,"result":null,"data":[%b]}', "data beside result"),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-32007},"result":%b}', "result beside error"),
        (b'{"jsonrpc":"2.0","method":"x","params":{"result":null},"data":%b}', "data beside params"),
        (b'{"data":[],"transactions":[%b]}', "transactions beside data"),
        (b'{"data":null,"metadata":{},"transactions": [ %b]}', "transactions beside data"),
        (b'{"blockhash":"x","transactions":null,"data":[%b]}', "data beside transactions"),
        (b'{"filters":[],"ping":{},"transactions":[%b]}', "transactions beside ping"),
        (b'{"data":{"signature":"B","payload":{}},"transactions":[%b]}', "transactions beside data"),
    ],
)
def test_transactions_beside_the_member_that_is_read_are_not_lost_without_a_word(
    body: bytes, beside: str
) -> None:
    found = read(b"[%b,%b]" % (body % _TX, _TX))
    assert found.signatures == [None, "A"]
    assert f"it has {beside}, " in found.errors[0]


def test_an_answer_without_a_result_is_not_taken_for_one_that_brings_nothing() -> None:
    found = read(b'{"jsonrpc":"2.0","data":null,"transactions":[%b]}' % _TX)
    assert found.signatures == [None]
    assert "the answer has no result" in found.errors[0]


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":1,"result":%b,"data":null}',
        b'{"data":[%b],"transactions":[ ],"result":{\n}}',
        b'{"data":[%b],"metadata":{"a":1},"result":"x"}',
        b'{"id":1,"result":%b,"data":{"took_ms":3}}',
    ],
)
def test_what_is_empty_beside_it_does_no_harm(body: bytes) -> None:
    assert read(body % _TX).signatures == ["A"]
