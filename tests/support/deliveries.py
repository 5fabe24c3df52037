"""Bodies as providers deliver them: how they are read, and one real transaction in many forms."""

import asyncio
import atexit
import json
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from mmap import mmap
from typing import Any, NamedTuple

import msgspec

from app.decode.event_loop_turns import Turn, next_turn
from app.decode.item import InvalidItem, ItemLimits
from app.feeds.base58 import base58_decode
from app.feeds.body_parts import Part
from app.feeds.feed_rules import NO_RULES, FeedRules
from app.feeds.provider_body import read_provider_body
from app.models import Transaction
from tests.support.real_payloads import DATA, transactions_of

LIMITS = ItemLimits(max_payload_bytes=256 * 1024, max_payload_depth=128, default_source="feed-a")
RAW_SALE = transactions_of("helius_raw_nft_sale.json")[0]
"""The sale of an NFT as Helius' raw webhook has it; the enhanced webhook's file has the same transaction."""

# One event loop for the thousands of bodies that a test reads.
_RUNNER = asyncio.Runner()
atexit.register(_RUNNER.close)


class Read(NamedTuple):
    """What a body was read as, of all its parts."""

    results: list[Transaction | InvalidItem]
    skipped: Mapping[str, int]
    shapes: Mapping[str, int]

    @property
    def signatures(self) -> list[str | None]:
        """The signature of each transaction, None for what is none."""
        return [item.signature if isinstance(item, Transaction) else None for item in self.results]

    @property
    def slots(self) -> list[int | None]:
        """The slots of the transactions."""
        return [item.slot for item in self.results if isinstance(item, Transaction)]

    @property
    def payloads(self) -> list[bytes]:
        """The payloads of the transactions."""
        return [bytes(item.payload) for item in self.results if isinstance(item, Transaction)]

    @property
    def errors(self) -> list[str]:
        """What is wrong with those that are none."""
        return [str(item) for item in self.results if isinstance(item, InvalidItem)]


async def parts_of(
    body: bytes | mmap,
    rules: FeedRules = NO_RULES,
    limits: ItemLimits = LIMITS,
    most: int = 10_000,
    turn: Turn = next_turn,
) -> list[Part]:
    """The parts that a body is read in."""
    return [part async for part in read_provider_body(body, limits, rules, most, turn)]


def read(
    body: bytes | mmap, rules: FeedRules = NO_RULES, limits: ItemLimits = LIMITS, most: int = 10_000
) -> Read:
    """Everything that a body is read as."""
    parts = _RUNNER.run(parts_of(body, rules, limits, most))
    skipped, shapes = Counter[str](), Counter[str]()
    for part in parts:
        assert len(part.results) <= most
        skipped.update(part.skipped)
        shapes.update(part.shapes)
    results: list[Transaction | InvalidItem] = [item for part in parts for item in part.results]
    assert all(item.source == limits.default_source for item in results if isinstance(item, Transaction))
    return Read(results, dict(skipped), {str(name): number for name, number in shapes.items()})


def real_body(name: str) -> bytes:
    """A file of real bodies, without white space around it, as the reader of bodies gives it."""
    folder = DATA if (DATA / name).exists() else DATA / "feeds"
    return (folder / name).read_bytes().strip()


def compact(value: Any) -> bytes:
    """JSON without white space."""
    return json.dumps(value, separators=(",", ":")).encode()


def sale() -> dict[str, Any]:
    """The raw sale as an object: meta, slot, transaction and two more fields."""
    found: dict[str, Any] = msgspec.json.decode(RAW_SALE.payload)
    return found


def wire_of(transaction: Mapping[str, Any]) -> bytes:
    """A transaction without lookup tables as it is on the wire."""
    message = transaction["message"]
    header, keys = message["header"], [base58_decode(key) for key in message["accountKeys"]]
    parts = [
        _listed([base58_decode(text) for text in transaction["signatures"]]),
        bytes(
            (
                header["numRequiredSignatures"],
                header["numReadonlySignedAccounts"],
                header["numReadonlyUnsignedAccounts"],
            )
        ),
        _listed(keys),
        base58_decode(message["recentBlockhash"]),
        _listed([_instruction(each) for each in message["instructions"]]),
    ]
    return b"".join(parts)


def _instruction(instruction: Mapping[str, Any]) -> bytes:
    data = base58_decode(instruction["data"])
    accounts = _compact_number(len(instruction["accounts"])) + bytes(instruction["accounts"])
    return bytes([instruction["programIdIndex"]]) + accounts + _compact_number(len(data)) + data


def _listed(parts: list[bytes]) -> bytes:
    return _compact_number(len(parts)) + b"".join(parts)


def _compact_number(number: int) -> bytes:
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80, number >> 7])


def base64_text(data: bytes) -> str:
    """Base64 as JSON of protobuf has it."""
    return b64encode(data).decode()


def yellowstone_update(signature: Any, *, is_vote: bool = False, slot: Any = "171942732") -> dict[str, Any]:
    """An update of Yellowstone with the sale, its signature written as is given."""
    transaction = sale()
    info = {
        "signature": signature,
        "isVote": is_vote,
        "transaction": {"signatures": [signature], "message": transaction["transaction"]["message"]},
        "meta": transaction["meta"],
        "index": "2557",
    }
    update = {"transaction": info, "slot": slot}
    return {"filters": ["client"], "transaction": update, "createdAt": "2025-08-26T12:47:55.000Z"}
