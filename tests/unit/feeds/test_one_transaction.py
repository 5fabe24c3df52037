"""One transaction in all the forms that providers give it has one signature."""

from typing import Any

import pytest

from app.feeds.base58 import base58_decode, base58_encode
from tests.support.deliveries import (
    RAW_SALE,
    base64_text,
    compact,
    read,
    real_body,
    sale,
    wire_of,
    yellowstone_update,
)

SIGNATURE, SLOT = RAW_SALE.signature, 171942732
DATA = base58_decode(SIGNATURE)
RAW = sale()
ENCODED = {**RAW, "transaction": [base64_text(wire_of(RAW["transaction"])), "base64"]}
# An update of a transaction that no validator has run yet: it has no meta data and no index.
NOT_RUN = {
    "transaction": {"signature": base64_text(DATA), "transaction": RAW["transaction"]},
    "slot": str(SLOT),
}
NOTIFIED = {
    "transaction": {"transaction": RAW["transaction"], "meta": RAW["meta"]},
    "signature": SIGNATURE,
    "slot": SLOT,
}
FORMS: dict[str, Any] = {
    "raw": RAW,
    "raw with a null signature": {"signature": None, **RAW},
    "base64": ENCODED,
    "base58": {**RAW, "transaction": [base58_encode(wire_of(RAW["transaction"])), "base58"]},
    "getTransaction": {"jsonrpc": "2.0", "result": RAW, "id": 1},
    "getTransaction, encoded": {"jsonrpc": "2.0", "result": ENCODED, "id": 1},
    "transactionNotification": {
        "jsonrpc": "2.0",
        "method": "transactionNotification",
        "params": {"subscription": 7, "result": NOTIFIED},
    },
    "block": {
        "blockhash": "x",
        "parentSlot": 1,
        "slot": SLOT,
        "transactions": [{"transaction": RAW["transaction"], "meta": None}],
    },
    "yellowstone, base64": yellowstone_update(base64_text(DATA)),
    "yellowstone, bytes": yellowstone_update(list(DATA)),
    "yellowstone, Node's buffer": yellowstone_update({"type": "Buffer", "data": list(DATA)}),
    "yellowstone, typed array": yellowstone_update({str(at): byte for at, byte in enumerate(DATA)}),
    "yellowstone, base58": yellowstone_update(SIGNATURE),
    "yellowstone, halves": yellowstone_update(list(DATA), slot={"low": SLOT, "high": 0, "unsigned": True}),
    "yellowstone, without its envelope": yellowstone_update(base64_text(DATA))["transaction"],
    "yellowstone, of Rust": {
        "filters": [],
        "update_oneof": {"Transaction": yellowstone_update(list(DATA), slot=SLOT)["transaction"]},
        "created_at": None,
    },
    "yellowstone, not run yet": {"filters": ["d"], "deshredTransaction": NOT_RUN, "createdAt": "2026-01-16"},
    "yellowstone, not run yet, of Rust": {
        "filters": ["d"],
        "update_oneof": {"DeshredTransaction": NOT_RUN},
        "created_at": None,
    },
    "yellowstone, not run yet, without filters": {"deshred_transaction": NOT_RUN, "created_at": "2026-01-16"},
    "yellowstone, a block": {
        "filters": ["b"],
        "block": {
            "slot": str(SLOT),
            "blockhash": "x",
            "transactions": [yellowstone_update(base64_text(DATA))["transaction"]["transaction"]],
        },
    },
}


def test_helius_two_webhooks_have_one_signature() -> None:
    assert read(real_body("helius_enhanced_nft_sale.json")).signatures == [SIGNATURE]
    assert read(real_body("helius_raw_nft_sale.json")).signatures == [SIGNATURE]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_listed", [False, True])
def test_each_form_has_this_signature_and_slot(form: str, is_listed: bool) -> None:
    body = compact(FORMS[form])
    found = read(b"[" + body + b",\n" + body + b"]" if is_listed else body)
    times = 2 if is_listed else 1
    assert (found.signatures, found.slots, found.errors) == ([SIGNATURE] * times, [SLOT] * times, [])
    assert all(payload in body for payload in found.payloads)


def test_forms_may_be_mixed_and_stand_on_lines() -> None:
    bodies = [compact(form) for form in FORMS.values()]
    mixed, lines = read(b"[" + b",".join(bodies) + b"]"), read(b"\n\n".join(bodies) + b"\n")
    assert mixed.signatures == lines.signatures == [SIGNATURE] * len(FORMS)
    assert mixed.payloads == lines.payloads
    assert mixed.shapes == lines.shapes


def test_the_payload_of_an_update_is_the_value_with_the_slot() -> None:
    update = yellowstone_update(base64_text(DATA))
    assert read(compact(update)).payloads == [compact(update["transaction"])]
