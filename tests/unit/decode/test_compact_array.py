"""The short way takes only what the long way takes, and makes the same of it (Hypothesis)."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.decode.compact_array import decode_compact_array
from app.decode.item import ItemLimits, try_decode_item
from app.models import Transaction

LIMITS = ItemLimits(max_payload_bytes=400, max_payload_depth=3, default_source="default")
MOST = 5
FIELDS = {
    "signature": st.sampled_from(
        ["s", "5BNb", "~!", 'a"b', "a\\b", "a\nb", "\x00", "", "a b", "é", "\x7f", "x" * 128, "x" * 129]
    ),
    "source": st.sampled_from(["helius-a", "a", "", "a b", "é", "x" * 64, "x" * 65, None]),
    "slot": st.sampled_from([0, 1, 10**18, 2**63 - 1, 2**63, -1, 1.0, 1e5, True, None, "1"]),
    "payload": st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-1, 10**20)
        | st.sampled_from(["", "a", '"', "\\", "é", "[", "x" * 395]),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["signature", "a"]), inner, max_size=2)
        ),
        max_leaves=5,
    ),
    "other": st.none(),
}
KEYS = st.permutations(["signature", "source", "slot", "payload"])
HOW_MANY_KEYS = st.sampled_from([4, 4, 4, 3, 2])
ANOTHER_KEY = st.sampled_from([[]] * 7 * len(FIELDS) + [[name] for name in sorted(FIELDS)])
COLON = st.sampled_from([":", ":", ":", ": "])


@st.composite
def item_texts(draw: st.DrawFn) -> str:
    """An item as JSON: mostly as it should be, with keys in any order, missing, unknown, or twice."""
    keys = draw(KEYS)[: draw(HOW_MANY_KEYS)] + draw(ANOTHER_KEY)
    ascii_only, colon = draw(st.booleans()), draw(COLON)
    members = (f'"{key}"{colon}{_text(draw(FIELDS[key]), ascii_only)}' for key in keys)
    return "{" + ",".join(members) + "}"


def _text(value: object, ascii_only: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))


@pytest.mark.slow
@settings(max_examples=300)
@given(
    st.lists(item_texts(), max_size=6),
    st.sampled_from([",", ",", ",", ", "]),
    st.sampled_from(["", "\n", " "]),
)
def test_what_goes_the_short_way_is_what_the_long_way_makes_of_it(
    texts: list[str], comma: str, end: str
) -> None:
    body = f"[{comma.join(texts)}]{end}".encode()
    short = decode_compact_array(body, LIMITS, MOST)
    if short is None:
        return
    assert len(short) == len(texts) <= MOST
    for item, text in zip(short, texts, strict=True):
        assert _fields(item) == _fields(try_decode_item(text.encode(), LIMITS)), text


@pytest.mark.slow
@settings(max_examples=300)
@given(item_texts())
def test_no_item_is_taken_that_has_a_key_twice(text: str) -> None:
    names: list[str] = []

    def note(pairs: list[tuple[str, object]]) -> None:
        names[:] = [name for name, _ in pairs]  # the item's own come last

    json.loads(text, object_pairs_hook=note)
    if isinstance(try_decode_item(text.encode(), LIMITS), Transaction):
        assert len(set(names)) == len(names)


def _fields(item: object) -> tuple[object, ...]:
    assert isinstance(item, Transaction), item
    return item.signature, item.source, item.slot, bytes(item.payload)


PLAIN = {"signature": "5BNb", "source": "helius-a", "slot": 7, "payload": {"fee": [5000]}}


@pytest.mark.parametrize(
    "items",
    [
        [PLAIN],
        [PLAIN, {"signature": "a"}],
        [{"signature": "a", "source": None, "slot": None, "payload": None}] * MOST,
        [{"payload": {"signature": "x", "slot": 1, "text": 'é[{\\"'}, "slot": 0, "signature": "b"}],
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_compact_arrays_of_valid_items_go_the_short_way(
    items: list[dict[str, object]], ascii_only: bool
) -> None:
    assert decode_compact_array(_text(items, ascii_only).encode(), LIMITS, MOST) is not None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"[]", "empty"),
        (b'[{"signature":"a"}]'[:-1], "cut off"),
        (b'[{"signature":"a","signature":"b"}]', "a key twice"),
        (b'[{"signature":"a","payload":1,"payload":2}]', "a key twice"),
        (b'[{"signature":"a","payload":[[[[1]]]]}]', "too deep"),
        (b'[{"signature":"a","payload":"' + b"x" * 400 + b'"}]', "too long"),
        (b'[{"signature":"a","payload":"\xff"}]', "not UTF-8"),
        (b'[{"signature":"a","color":1}]', "unknown field"),
        (b'[{"signature":"\\u0061"}]', "escaped"),
        (b'[{"signature": "a"}]', "white space"),
        (b"[" + b",".join([b'{"signature":"a"}'] * (MOST + 1)) + b"]", "too many"),
    ],
)
def test_everything_else_goes_the_long_way(body: bytes, why: str) -> None:
    assert decode_compact_array(body, LIMITS, MOST) is None, why


def test_the_payload_of_the_short_way_keeps_its_bytes() -> None:
    body = b'[{"signature":"a","payload":{ "a" : 1.50, "b":"\\u00e9" }}]'
    [item] = decode_compact_array(body, LIMITS, MOST) or []
    assert item.payload == msgspec.Raw(b'{ "a" : 1.50, "b":"\\u00e9" }')
