"""Any other JSON is read by the pointers of its feed."""

import pytest

from app.errors import MalformedBody
from app.feeds.feed_rules import FeedRules, MappedShape
from app.feeds.json_pointers import pointer_of
from tests.support.deliveries import read

LOGS = FeedRules(MappedShape("/logs", "/tx/0", "/block"))
BARE = FeedRules(MappedShape(None, "/hash", None))


def test_items_are_at_a_pointer_and_keep_their_bytes() -> None:
    items = [
        b'{"tx":["0xA"],"block":"0x1b4" }',
        b'{"tx" : ["0xB"], "block":"436"}',
        b'{"tx":["0xC"],"block":436}',
        b'{"tx":["0xD"]}',
    ]
    found = read(b'{"a":1,"logs":[' + b" , ".join(items) + b"]}", LOGS)
    assert (found.signatures, found.slots) == (["0xA", "0xB", "0xC", "0xD"], [436, 436, 436, None])
    assert (found.payloads, found.shapes) == (items, {"mapped": 1})


@pytest.mark.parametrize(
    ("body", "signatures"),
    [
        (b'{"hash":"A"}', ["A"]),
        (b'[{"hash":"A"},{"hash":"B"}]', ["A", "B"]),
        (b'{"hash":"A"}\n{"hash":"B"}', ["A", "B"]),
        (b"null", []),
        (b"[]", []),
    ],
)
def test_without_items_the_document_or_each_element_is_one(body: bytes, signatures: list[str]) -> None:
    assert read(body, BARE).signatures == signatures


@pytest.mark.parametrize(
    ("body", "signatures"),
    [
        (b'{"logs":{"tx":["A"]}}', ["A"]),
        (b'{"logs":null}', []),
        (b'{"logs":[]}', []),
        (b'[{"logs":[{"tx":["A"]}]},{"logs":[{"tx":["B"]}]},{"nope":1}]', ["A", "B", None]),
        (
            b'{"logs":[{"tx":["A"]},{"tx":NaN},{"tx":["B"],"tx":["C"]},7,{"tx":[5]},{"tx":["D"]}]}',
            ["A", None, None, None, None, "D"],
        ),
        (b'{"logs":[{"tx":["A"],"note":"\\ud83d"}]}', ["A"]),
    ],
)
def test_what_is_wrong_with_an_item_stands_in_its_place(body: bytes, signatures: list[str | None]) -> None:
    assert read(body, LOGS).signatures == signatures


def test_an_item_that_is_its_own_signature_is_named_so() -> None:
    assert read(b'["0xA",7]', FeedRules(MappedShape(None, "", None))).errors == [
        "mapped: the item itself: 1 to 128 visible ASCII characters without space; a number was found"
    ]


def test_errors_name_the_pointer_and_what_was_found() -> None:
    assert read(b'{"other":1,"more":2}', LOGS).errors == [
        "mapped: there is nothing at /logs in an object with other, more"
    ]
    assert read(b'{"logs":[{"id":1}]}', LOGS).errors == [
        "mapped: there is no signature at /tx/0 in an object with id"
    ]
    assert read(b'{"logs":[{"tx":[5]}]}', LOGS).errors == [
        "mapped: /tx/0: 1 to 128 visible ASCII characters without space; a number was found"
    ]
    assert (
        read(b'{"logs":[{"tx":["A"],"block":"x"}]}', LOGS).errors[0].startswith("slot: an integer from 0 to")
    )
    assert read(b'{"logs":1,"logs":2}', LOGS).errors == ["key given twice: logs"]
    with pytest.raises(MalformedBody):
        read(b'{"logs":[', LOGS)


def test_a_mapped_feed_reads_no_other_shape() -> None:
    assert read(b'{"signature":"A","type":"X"}', BARE).errors == [
        "mapped: there is no signature at /hash in an object with signature, type"
    ]


def test_names_of_a_pointer_may_have_slashes_and_tildes() -> None:
    rules = FeedRules(MappedShape(None, "/a~1b/~0/\u00e9/", None))
    assert read('{"a/b":{"~":{"é":{"":"S"}}}}'.encode(), rules).signatures == ["S"]
    assert pointer_of("") == ()
    for text in ("logs", "/a~2", "/~"):
        with pytest.raises(ValueError, match="JSON Pointer"):
            pointer_of(text)
