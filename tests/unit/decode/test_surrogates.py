"""Lone surrogates in payloads, beside any other text."""

from app.decode.item import ItemLimits, decode_item
from app.decode.surrogates import masked
from tests.support.http_calls import KIB, with_payload


def test_a_lone_surrogate_is_found_though_its_mask_is_in_the_text_already() -> None:
    every = b"".join(b"\\u%04x" % code for code in (0xFFFD, *range(0xE000, 0xF000)))
    payload = b'["%b","\\udfff"]' % every
    item = decode_item(with_payload(payload), ItemLimits(256 * KIB, 128))
    assert bytes(item.payload) == payload


def test_a_mask_is_left_though_every_escape_in_small_letters_is_in_the_text() -> None:
    text = b'"\\ud800%b"' % b"".join(b"\\u%04x" % code for code in (*range(0xD800), *range(0xE000, 0x10000)))
    found = masked(text)
    assert found is not None
    assert found.mask not in text
    assert found.text == text.replace(b"\\ud800", found.mask)
