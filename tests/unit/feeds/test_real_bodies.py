"""Every real body is read as it is, and each payload is the body's own bytes."""

from mmap import mmap

import pytest

from app.feeds.feed_rules import FeedRules, MappedShape
from tests.support.deliveries import read, real_body
from tests.support.real_payloads import EXCERPT, FILES, transactions_of

SHAPES = {
    "helius_raw_nft_sale.json": {"solana-transaction": 1},
    "helius_enhanced_nft_sale.json": {"helius-enhanced": 1},
    "helius_enhanced_transfer.json": {"helius-enhanced": 1},
    "helius_enhanced_25.json": {"helius-enhanced": 25},
    "solana_getTransaction_mainnet_v0_a.json": {"json-rpc": 1},
    "solana_getTransaction_mainnet_v0_small.json": {"json-rpc": 1},
    "solana_getTransaction_batch_rpc_response.json": {"json-rpc": 2},
    "solana_getBlock_100000000_jsonParsed_10tx.json": {"solana-block": 1},
}


@pytest.mark.parametrize("file", sorted(FILES))
def test_each_transaction_is_read_with_the_bytes_of_the_body(file: str) -> None:
    expected, found = transactions_of(file), read(real_body(file))
    assert found.signatures == [item.signature for item in expected]
    assert found.slots == [item.slot for item in expected]
    assert found.payloads == [item.payload for item in expected]
    assert found.shapes == SHAPES[file]


@pytest.mark.parametrize("file", sorted(FILES))
def test_a_mapped_body_is_read_as_one_of_bytes(file: str) -> None:
    body = real_body(file)
    mapped = mmap(-1, len(body))
    mapped[:] = body
    assert read(mapped).payloads == read(body).payloads


def test_an_elided_block_is_told_what_its_transaction_has() -> None:
    found = read(real_body(EXCERPT))
    assert found.shapes == {"solana-block": 1}
    assert found.errors[0].startswith("the transaction of the block has no transaction.signatures")


@pytest.mark.parametrize(
    ("file", "signature", "slot"),
    [
        (
            "solana_docs_logsNotification.json",
            "5h6xBEauJ3PK6SWCZ1PGjBvj8vDdWG3KpwATGy1ARAXFSDwt8GFXM7W5Ncn16wmqokgpiKRLuS83KUxyZyv2sUYv",
            5208469,
        ),
        (
            "solana_docs_getTransaction_vote.json",
            "2nBhEBYYvfaAe16UMNqRHre4YNSskvuYgx3M6E4JP1oDYvZEJHvoPzyUidNgNX5r9sTyN1J9UxtbCXy2rqYcuyuv",
            430,
        ),
        (
            "helius_raw_captured.json",
            "2NRmUxAn6QDrhm9PgD2y3uKTPR7uddoRUqwxHrd91rNX4qRwxnGNQ8eYDkP8548ypP3KNXJ9tzmX85hPhWE3Ms73",
            403967422,
        ),
        (
            "helius_enhanced_failed.json",
            "ArRXvQdphogFmmuULMjHhk1nBV7vhjHwQxUbKAEkexPJYWmeFQXt5ycoyA2wKMTN9STdtHJ1Nm7d9csjC1oDd32",
            289356858,
        ),
        (
            "photon_getTransaction_base64.json",
            "3UxAh4BPLQeEwipgkwRoY6nmzBXL58LaYMaY4MofL6yQEHGpTf26u2roz52Cck1NK25ugrYgAjczqbTJcEbuG4mG",
            49,
        ),
    ],
)
def test_bodies_from_documentations_and_repositories(file: str, signature: str, slot: int) -> None:
    found = read(real_body(file))
    assert (found.signatures, found.slots, found.errors) == ([signature], [slot], [])
    assert found.payloads[0] in real_body(file)


def test_a_captured_transaction_that_failed_may_be_left_out() -> None:
    found = read(real_body("helius_enhanced_failed.json"), FeedRules(skip=frozenset(("failed",))))
    assert (found.results, found.skipped) == ([], {"failed": 1})


def test_an_encoded_transaction_of_a_block_notification_has_its_slot() -> None:
    found = read(real_body("solana_docs_blockNotification_base64.json"))
    assert found.slots == [112301554]
    assert found.payloads[0].startswith(b'{\n              "transaction": [')


@pytest.mark.parametrize(
    ("file", "mapped", "signatures", "slots"),
    [
        (
            "ethereum_eth_getLogs.json",
            MappedShape("/result", "/transactionHash", "/blockNumber"),
            [
                "0x847f7a3261988dc4a34be85f4c28d5d534d47775792e9d25e1d9250cb2fb77eb",
                "0xa0762610d794acddd2dca15fb7c437ada3611c886f3bea675d53d8da8a6c41b2",
            ],
            [2, 2],
        ),
        (
            "alchemy_solana_address_activity.json",
            MappedShape("/event/transaction", "/signature", None),
            ["5q8ZbKic6r6bfr3HTEYxg2YWLw8PnxR13zhDgSokKLY2VstySBngb2Ry7u4tw5UUdtGVEbpiwYR4PyHWtVn4hUd4"],
            [None],
        ),
        (
            "moralis_streams_erc20.json",
            MappedShape("/erc20Transfers", "/transaction_hash", None),
            ["0xb9730dd1b49061f3b5a6f93e0a66a03be199cad6f21ba5e8747a8087754e3e"],
            [None],
        ),
        ("moralis_streams_erc20.json", MappedShape("/txs", "/hash", None), [], []),
        (
            "thirdweb_insight_event.json",
            MappedShape("/data", "/data/transaction_hash", "/data/block_number"),
            ["0x460ced3718d0e09145eae8b63fd985dc366adfc4523c791116f24dc051e8363a"],
            [22140383],
        ),
    ],
)
def test_bodies_of_no_known_shape_are_mapped(
    file: str, mapped: MappedShape, signatures: list[str], slots: list[int | None]
) -> None:
    body = real_body(file)
    found = read(body, FeedRules(mapped))
    assert (found.signatures, found.slots, found.shapes) == (signatures, slots, {"mapped": 1})
    assert all(payload in body for payload in found.payloads)
    assert read(body).errors  # without the map each is told what it is
