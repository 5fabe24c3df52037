"""Transactions for load: real payloads, each copy with its own signature, slot, accounts and amounts.

A payload repeated as it is would flatter compression, so a copy gets fresh values where real transactions
differ: an account or a long number is replaced by the same fresh one wherever it stands in the copy. What
several of the real ones name (programs, tokens) stays, and fresh accounts come from a pool: many return.
"""

import json
import random
import re
from collections import Counter
from functools import cached_property
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
SIGNATURE_LENGTH, ACCOUNT_LENGTH = 88, 44
POOL = 16_384
FIRST_SLOT = 380_000_000
_OWN = re.compile(
    r"\b(?P<signature>[1-9A-HJ-NP-Za-km-z]{86,88})\b"
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
    """An endless supply of items, as signature and JSON, from 25 enhanced transactions (1.5 to 18 KB)."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._templates = _templates()
        self._number = 0

    def items(self, count: int) -> list[Item]:
        """Make `count` fresh items, from the templates in turn."""
        return [self._item() for _ in range(count)]

    def _item(self) -> Item:
        signature = self._base58(SIGNATURE_LENGTH)
        template = self._templates[self._number % len(self._templates)]
        draw = self._random.random
        values = [
            signature if kind == "signature" else self._pools[kind][int(draw() * POOL)]
            for kind in template.kinds
        ]
        slot = FIRST_SLOT + self._number // 1000
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


def _templates() -> list[Template]:
    transactions = json.loads((DATA / "helius_enhanced_25.json").read_text())
    texts = [json.dumps(transaction, separators=(",", ":")) for transaction in transactions]
    named = Counter(value for text in texts for value in {found.group() for found in _OWN.finditer(text)})
    payers = {transaction["feePayer"] for transaction in transactions}
    shared = {value for value, times in named.items() if times > 1} - payers
    return [Template(text, shared) for text in texts]
