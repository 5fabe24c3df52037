"""Reads arrays and blocks of Solana's transactions as nearly every provider sends them, each in one pass.

Where a transaction ends is guessed and then proven. The array in
`{"blockhash":"…","transactions":[{"meta":…},{"meta":…}]}` is cut before every object that begins as its first
one does. If a parser takes each part as a transaction, and what stands around the array as a block whose
transactions are `[]`, then it was cut between two transactions. Any other body is left to the reader of
documents, which finds out what is wrong.

What is found is where the transactions stand: a block of 64 MiB is not there twice.
"""

import re
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from mmap import mmap

import msgspec
from msgspec import UNSET, Raw, UnsetType

from app.decode.columns import Columns
from app.decode.event_loop_turns import PACE_BYTES
from app.decode.item import ItemLimits
from app.decode.nesting_depth import are_nested_within
from app.feeds.feed_rules import FeedRules
from app.feeds.json_values import VALUE_COST
from app.feeds.least_bytes import is_utf8, least_bytes_of, others_of
from app.feeds.shape_fields import has_plain_names
from app.feeds.shape_names import Shape
from app.feeds.signatures import are_base58
from app.feeds.skipping import reason_to_skip_written_out
from app.feeds.slots import MAX_SLOT

MOST_TRANSACTIONS = 20_000
"""Longer arrays are read document by document: what is kept of each until it is stored takes 300 bytes."""
# What stands around the transactions of a block: heads with rewards are long, and nothing comes behind.
_MOST_HEAD_BYTES, _MOST_TAIL_BYTES = 64 * 1024, 1024
_TRANSACTIONS = b'"transactions":['
_FIRST_NAME = re.compile(rb'\{"(?:blockTime|indexWithinBlock|meta|slot|transaction|version)":')
_NO = Raw()


class _Transaction(msgspec.Struct, gc=False):
    signatures: list[str]
    message: Raw


class _Document(msgspec.Struct, gc=False):
    """A transaction's members, empty where one is missing; `signature` may be there, and null."""

    transaction: _Transaction
    slot: int | UnsetType = UNSET
    meta: Raw = _NO
    version: Raw = _NO
    signature: Raw = _NO
    block_time: Raw = msgspec.field(default=_NO, name="blockTime")
    index_within_block: Raw = msgspec.field(default=_NO, name="indexWithinBlock")


class _Block(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    """What stands around the transactions of a block."""

    blockhash: Raw
    transactions: Raw
    slot: int | None = None
    block_height: Raw = _NO
    block_time: Raw = _NO
    num_reward_partitions: Raw = _NO
    parent_slot: Raw = _NO
    previous_blockhash: Raw = _NO
    rewards: Raw = _NO


_decoder = msgspec.json.Decoder(_Document)
_block_decoder = msgspec.json.Decoder(_Block)
_OTHERS = others_of(_Document, "transaction", "slot")
_LEAST_BYTES = len('{"transaction":{"signatures":[],"message":}}')
_SLOT_BYTES = len(',"slot":')
_QUOTES_BYTES = len('"",')


@dataclass
class Found:
    """The transactions of a body, by where they stand in it."""

    text: bytes | mmap = field(repr=False)
    shape: Shape
    """What the body is: a block, or an array of transactions."""
    start: int
    end: int
    """Where the array of them begins and ends, without its brackets."""
    slot: int | None = None
    """The block's, for transactions that have none of their own."""
    places: list[tuple[int, int]] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    slots: list[int | None] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def note(
        self, documents: Sequence[_Document], places: Sequence[tuple[int, int]], rules: FeedRules
    ) -> None:
        """Keep the signatures, slots and places of further transactions that are not left out."""
        if rules.skip:
            reasons = [
                reason_to_skip_written_out(rules, document.meta, document.transaction.message)
                for document in documents
            ]
            self.skipped.update(reason for reason in reasons if reason)
            documents = [document for document, reason in zip(documents, reasons, strict=True) if not reason]
            places = [place for place, reason in zip(places, reasons, strict=True) if not reason]
        self.places += places
        self.signatures += [document.transaction.signatures[0] for document in documents]
        self.slots += [self.slot if document.slot is UNSET else document.slot for document in documents]

    @property
    def documents(self) -> int:
        """Return how many documents were read: one block, or as many as there are transactions."""
        is_block = self.shape is Shape.SOLANA_BLOCK
        return 1 if is_block else len(self.places) + self.skipped.total()

    def cuts(self, most_items: int, most_bytes: int) -> Iterator[tuple[int, int]]:
        """Yield the first of each part, and the first behind it; there is one part at least.

        A transaction that is longer is a part of its own.
        """
        first = size = 0
        for at, (start, end) in enumerate(self.places):
            size += end - start
            if at > first and (at - first == most_items or size > most_bytes):
                yield first, at
                first, size = at, end - start
        yield first, len(self.places)

    def columns(self, first: int, last: int, source: str) -> Columns:
        """Return the transactions from one place to another, as those of a source."""
        payloads = [Raw(bytes(self.text[start:end])) for start, end in self.places[first:last]]
        sources = [source] * len(payloads)
        return Columns(self.signatures[first:last], sources, self.slots[first:last], payloads)


def find_transactions(
    text: bytes | mmap, limits: ItemLimits, rules: FeedRules
) -> Generator[None, None, Found | None]:
    """Return the transactions of a body if it is an array or a block of them and all are valid, else None.

    A generator: it yields wherever others may be served.
    """
    found = _array(text) if text[:1] == b"[" else _block(text)
    first = _FIRST_NAME.match(text, found.start) if found is not None else None
    if found is None or first is None:
        return None
    border, start = b"}," + first[0], found.start
    while start < found.end:
        parts, places, work = list[bytes](), list[tuple[int, int]](), 0
        while start < found.end and work < PACE_BYTES:
            # What is longer than a payload may be is not searched: 64 MiB take a tenth of a second.
            at = text.find(border, start, min(found.end, start + limits.max_payload_bytes + len(border)))
            end = found.end if at < 0 else at + 1
            if end - start > limits.max_payload_bytes:
                return None
            parts.append(bytes(text[start:end]))
            places.append((start, end))
            start, work = end + 1, work + end - start + VALUE_COST
        documents = _decoded(parts)
        if not _are_clear(documents, parts, limits) or len(found.places) > MOST_TRANSACTIONS:
            return None
        found.note(documents, places, rules)
        yield
    return found


def _array(text: bytes | mmap) -> Found | None:
    end = len(text) - 1
    return Found(text, Shape.SOLANA_TRANSACTION, 1, end) if text[end:] == b"]" else None


def _block(text: bytes | mmap) -> Found | None:
    start = text.find(_TRANSACTIONS, 0, _MOST_HEAD_BYTES) + len(_TRANSACTIONS)
    end = text.rfind(b"]", max(start, len(text) - _MOST_TAIL_BYTES))
    if start < len(_TRANSACTIONS) or end < 0:
        return None
    around = bytes(text[:start]) + bytes(text[end:])
    try:
        block = _block_decoder.decode(around)
    except (ValueError, RecursionError):
        return None
    is_clear = (
        bytes(block.transactions) == b"[]"
        and has_plain_names(around)
        and around.count(b'"transactions"') == 1
        and around.count(b'"slot"') <= 1
        and 0 <= (block.slot or 0) <= MAX_SLOT
    )
    return Found(text, Shape.SOLANA_BLOCK, start, end, block.slot) if is_clear else None


def _decoded(parts: Sequence[bytes]) -> list[_Document]:
    try:
        return list(map(_decoder.decode, parts))
    except (ValueError, RecursionError):
        return []


def _are_clear(documents: Sequence[_Document], parts: Sequence[bytes], limits: ItemLimits) -> bool:
    """Tell whether all documents are valid transactions that say just what was read here; False for none."""
    signatures = [document.transaction.signatures for document in documents]
    slots = [document.slot for document in documents if document.slot is not UNSET]
    return (
        len(documents) > 0
        and all(signatures)
        and are_base58([listed[0] for listed in signatures])
        and (not slots or (min(slots) >= 0 and max(slots) <= MAX_SLOT))
        and _least_bytes(documents, list(chain.from_iterable(signatures)), slots) == sum(map(len, parts))
        and are_nested_within(parts, limits.max_payload_depth)
        and all(map(is_utf8, parts))
    )


def _least_bytes(documents: Sequence[_Document], signatures: Sequence[str], slots: Sequence[int]) -> int:
    """Return the least bytes of documents that say just this; `signatures` are those of all of them."""
    count = len(documents)
    return (
        count * _LEAST_BYTES
        + sum(map(len, signatures))
        + len(signatures) * _QUOTES_BYTES
        - count  # no comma behind the last signature of each
        + sum(len(document.transaction.message) for document in documents)
        + sum(map(len, map(str, slots)))
        + len(slots) * _SLOT_BYTES
        + least_bytes_of(documents, _OTHERS)
    )
