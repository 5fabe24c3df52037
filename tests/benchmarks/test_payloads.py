"""The load's transactions: real ones, each copy its own."""

import json
from collections import Counter

import zstandard

from tests.support.payloads import Payloads, body_of


def test_every_copy_has_a_signature_of_its_own_inside_and_out() -> None:
    items = Payloads(1).items(200)
    documents = [json.loads(data) for _, data in items]
    assert len({signature for signature, _ in items}) == 200
    for (signature, data), document in zip(items, documents, strict=True):
        assert document["signature"] == document["payload"]["signature"] == signature
        assert data.count(signature.encode()) == 2


def test_accounts_of_a_transfer_agree_within_a_copy_and_differ_between_copies() -> None:
    payloads = [json.loads(data)["payload"] for _, data in Payloads(1).items(100)]
    payers = Counter(payload["feePayer"] for payload in payloads)
    assert max(payers.values()) < 10
    for payload in payloads:
        assert payload["feePayer"] in {one["account"] for one in payload["accountData"]}


def test_copies_compress_about_as_well_as_real_transactions_do() -> None:
    """The 25 real ones: 5.4 KB each, 850 bytes compressed together; a repeated one would take some 50."""
    body = body_of(Payloads(1).items(100))
    compressed = zstandard.ZstdCompressor(level=1).compress(body)
    assert 4000 < len(body) / 100 < 7000
    assert 350 < len(compressed) / 100 < 1200


def test_two_seeds_share_no_signature() -> None:
    one, other = ({signature for signature, _ in Payloads(seed).items(50)} for seed in (1, 2))
    assert not one & other
