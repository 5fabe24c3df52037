"""Signatures and slots in all their spellings."""

from base64 import urlsafe_b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.decode.item import InvalidItem
from app.feeds.base58 import ALPHABET, base58_decode, base58_encode
from app.feeds.signatures import any_signature
from app.feeds.slots import slot_of


def _base58(data: bytes) -> str:
    number, text = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


@given(st.binary(max_size=80))
def test_base58_is_division_by_58(data: bytes) -> None:
    text = base58_encode(data)
    assert text == _base58(data)
    assert base58_decode(text) == data


def test_a_digit_that_base58_has_not_is_told() -> None:
    with pytest.raises(ValueError, match="'0' is no digit"):
        base58_decode("10")


@given(st.binary(min_size=64, max_size=64))
def test_bytes_and_base64_of_a_signature_are_its_base58(data: bytes) -> None:
    expected = base58_encode(data)
    urlsafe = urlsafe_b64encode(data).decode()
    for value in (
        expected,
        list(data),
        urlsafe,
        urlsafe.replace("-", "+").replace("_", "/"),
        {"data": list(data)},
    ):
        assert any_signature(msgspec.json.encode(value)) == expected


@pytest.mark.parametrize(
    "raw",
    [b"", b"null", b"7", b"[256]", b"[1,2]", b'{"data":7}', b'{"a":1}', b'""', b"{", b'["a"]', b"[" * 5000],
)
def test_what_is_no_signature_is_told(raw: bytes) -> None:
    with pytest.raises(InvalidItem, match="signature: "):
        any_signature(raw)


@pytest.mark.parametrize(
    ("raw", "slot"),
    [
        (b"", None),
        (b"null", None),
        (b"0", 0),
        (b'"0"', 0),
        (b'"378215733"', 378215733),
        (b'"0x1B4"', 436),
        (b"9223372036854775807", 2**63 - 1),
        (b'{"low":5,"high":0,"unsigned":true}', 5),
        (b'{"low":-1,"high":0,"unsigned":true}', 2**32 - 1),
        (b'{"low":1,"high":2,"unsigned":false}', 2**33 + 1),
    ],
)
def test_slots_as_numbers_texts_and_halves(raw: bytes, slot: int | None) -> None:
    assert slot_of(raw) == slot


@pytest.mark.parametrize(
    "raw",
    [
        b"-1",
        b"1.5",
        b"1e999",
        b"9223372036854775808",
        b"9" * 400,
        b'"-1"',
        b'""',
        b'"0x"',
        b'"1_0"',
        b"true",
        b"[]",
        b'{"low":1}',
        b'{"low":1,"high":-1}',
        b'{"low":1.5,"high":0}',
        b'"' + b"1" * 300 + b'"',
        '"٣"'.encode(),
    ],
)
def test_what_is_no_slot_is_told(raw: bytes) -> None:
    with pytest.raises(InvalidItem, match="slot: an integer from 0 to"):
        slot_of(raw)
