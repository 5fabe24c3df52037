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
