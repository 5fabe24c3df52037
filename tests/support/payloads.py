"""Transactions for load: real payloads, each copy with its own signature, slot, accounts and amounts.

There are `enhanced` ones, as Helius tells them (25, of 1.5 to 18 KB), `raw` ones, as Solana tells them (3, of
1.9 to 7 KB), and those of a `block`, without slot and time (5, of 1.8 to 7 KB).

A payload repeated as it is would flatter compression, so a copy gets fresh values where real transactions
differ: an account or a long number is replaced by the same fresh one wherever it stands in the copy. What
several of the real ones name (programs, tokens) stays, and fresh accounts come from a pool: many return.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property

import msgspec

from tests.support.real_payloads import FILES, transactions_of

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
SIGNATURE_LENGTH, ACCOUNT_LENGTH = 88, 44
POOL = 16_384
FIRST_SLOT = 380_000_000
SOLANA_LEAST_BYTES = 1800
_IN_BLOCK = ("meta", "transaction", "version")
_OWN = re.compile(
    r"\b(?P<signature>[1-9A-HJ-NP-Za-km-z]{86,88})\b"
    r'|(?<="slot":)(?P<slot>\d+)'
    r"|\b(?P<account>[1-9A-HJ-NP-Za-km-z]{43,44})\b"
    r"|\b(?P<amount>[1-9]\d{5,})\b"
)

Item = tuple[str, bytes]


class Template:
    """One real transaction, cut where a copy gets something of its own."""

    def __init__(self, text: str, shared: set[str]) -> None:
        self._pieces: list[str] = []
        self._values: list[int] = []
        self.kinds: list[str] = []
        numbers: dict[str, int] = {}
        at = 0
        for found in _OWN.finditer(text):
            if found.group() in shared:
                continue
            if found.group() not in numbers:
                numbers[found.group()] = len(numbers)
                self.kinds.append(str(found.lastgroup))
            self._pieces.append(text[at : found.start()])
            self._values.append(numbers[found.group()])
            at = found.end()
        self._end = text[at:]

    def fill(self, values: list[str]) -> str:
        """A copy as JSON, with one value for each of `kinds`."""
        parts: list[str] = []
        for piece, value in zip(self._pieces, self._values, strict=True):
            parts += piece, values[value]
        return "".join(parts) + self._end


class Payloads:
    """An endless supply of items, as signature and JSON, from real transactions of one kind."""

    def __init__(self, seed: int, kind: str = "enhanced") -> None:
        self._random = random.Random(seed)
        self._templates = _templates(TEXTS[kind]())
        self._number = 0

    def items(self, count: int) -> list[Item]:
        """Make `count` fresh items, from the templates in turn."""
        return [self._item() for _ in range(count)]

    def _item(self) -> Item:
        signature = self._base58(SIGNATURE_LENGTH)
        template = self._templates[self._number % len(self._templates)]
        draw = self._random.random
        slot = FIRST_SLOT + self._number // 1000
        own = {"signature": signature, "slot": str(slot)}
        values = [own.get(kind) or self._pools[kind][int(draw() * POOL)] for kind in template.kinds]
        self._number += 1
        return (
            signature,
            f'{{"signature":"{signature}","slot":{slot},"payload":{template.fill(values)}}}'.encode(),
        )

    @cached_property
    def _pools(self) -> dict[str, list[str]]:
        return {
            "account": [self._base58(ACCOUNT_LENGTH) for _ in range(POOL)],
            "amount": [str(self._random.randrange(10**6, 10**10)) for _ in range(POOL)],
        }

    def _base58(self, length: int) -> str:
        return "".join(self._random.choices(BASE58, k=length))


def body_of(items: list[Item]) -> bytes:
    """The JSON array of one batch."""
    return b"[" + b",".join(data for _, data in items) + b"]"


def payload_of(item: Item) -> bytes:
    """The payload of an item: the transaction as its provider sends it."""
    return item[1].partition(b',"payload":')[2][:-1]


def _enhanced() -> list[str]:
    return _compact("helius_enhanced_25.json")


def _raw() -> list[str]:
    return [text for text in _solana() if '"blockTime":' in text]


def _of_block() -> list[str]:
    """Transactions with those members alone that they have inside of a block."""
    documents = [msgspec.json.decode(text, type=dict[str, msgspec.Raw]) for text in _solana()]
    return [
        msgspec.json.encode({name: one[name] for name in _IN_BLOCK if name in one}).decode()
        for one in documents
    ]


def _solana() -> list[str]:
    """Transactions of Solana; votes and bare transfers are shorter than those wanted."""
    texts = [text for file in FILES if "enhanced" not in file for text in _compact(file)]
    return [text for text in texts if len(text) > SOLANA_LEAST_BYTES]


TEXTS: dict[str, Callable[[], list[str]]] = {"enhanced": _enhanced, "raw": _raw, "block": _of_block}


def _compact(file: str) -> list[str]:
    return [one.minified().payload.decode() for one in transactions_of(file)]


def _templates(texts: Sequence[str]) -> list[Template]:
    named = Counter(value for text in texts for value in {found.group() for found in _OWN.finditer(text)})
    payers = {json.loads(text).get("feePayer") for text in texts}
    shared = {value for value, times in named.items() if times > 1} - payers
    return [Template(text, shared) for text in texts]
