"""Request bodies made before the clock starts, and made fresh in place while it runs.

A pool of bodies is used over and over. Patched are a few characters of every signature, the same ones in the
whole body, whose signatures differ in the others: 0.2 µs a transaction, once for all three feeds.
"""

import json
import random
import re
from collections.abc import Iterator
from itertools import chain, repeat

from benchmarks.bench.plan import Kind
from tests.support.payloads import ACCOUNT_LENGTH, BASE58, SIGNATURE_LENGTH, Item, Payloads

SMALL_BYTES = 650
_AT, _LENGTH = 40, 4
GENERATIONS = len(BASE58) ** _LENGTH
# From any byte to a digit.
_DIGITS = bytes(BASE58.encode()[byte % len(BASE58)] for byte in range(256))


class Body:
    """One body and where its signatures are."""

    def __init__(self, items: list[Item], *, is_array: bool) -> None:
        self.data = bytearray()
        self._places: list[int] = []
        for before, (signature, data) in zip(
            chain([b"[" if is_array else b""], repeat(b",")), items, strict=False
        ):
            self.data += before
            start = len(self.data) + _AT
            self._places += [start + found.start() for found in re.finditer(signature.encode(), data)]
            self.data += data
        self.data += b"]" if is_array else b""

    def renew(self, generation: int) -> None:
        """Give every transaction a signature it has not had in an earlier generation."""
        data, mark = self.data, _mark(generation)
        for place in self._places:
            data[place : place + _LENGTH] = mark


def pool_of(kind: Kind, batch_items: int, bodies: int, seed: int) -> list[Body]:
    """So many bodies; every transaction in them has a payload of its own."""
    supply = Payloads(seed).items if kind == "enhanced" else _Small(seed).items
    return [Body(supply(batch_items), is_array=batch_items > 1) for _ in range(bodies)]


class _Small:
    """Transfers of 650 bytes, with accounts and amounts of their own."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._accounts = [self._base58(ACCOUNT_LENGTH) for _ in range(4096)]
        self._slots = self._counted()

    def items(self, count: int) -> list[Item]:
        """So many fresh ones."""
        return [self._item() for _ in range(count)]

    def _item(self) -> Item:
        signature, draw = self._base58(SIGNATURE_LENGTH), self._random.randrange
        payer, payee = self._random.choices(self._accounts, k=2)
        document = {
            "signature": signature,
            "slot": next(self._slots),
            "payload": {
                "type": "TRANSFER",
                "fee": 5000 + draw(4000),
                "feePayer": payer,
                "timestamp": 1_795_399_566,
                "nativeTransfers": [
                    {"fromUserAccount": payer, "toUserAccount": payee, "amount": draw(10**6, 10**10)}
                ],
                "accountData": [
                    {"account": payer, "nativeBalanceChange": -draw(10**6, 10**10)},
                    {"account": payee, "nativeBalanceChange": draw(10**6, 10**10)},
                ],
                "memo": "",
            },
        }
        short = SMALL_BYTES - len(_compact(document))
        document["payload"]["memo"] = self._base58(short)  # type: ignore[index]
        return signature, _compact(document)

    def _base58(self, length: int) -> str:
        return self._random.randbytes(length).translate(_DIGITS).decode()

    def _counted(self) -> Iterator[int]:
        number = 380_000_000
        while True:
            yield number
            number += 1


def _compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _mark(generation: int) -> bytes:
    number, text = generation % GENERATIONS, ""
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(BASE58))
        text += BASE58[digit]
    return text.encode()
