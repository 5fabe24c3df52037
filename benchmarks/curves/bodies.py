"""Bodies with transactions of any size, made of pieces of real ones so that they compress about as well."""

import json
import random
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

from benchmarks.bench.bodies import Body, pool_of
from benchmarks.curves.plan import Load
from tests.support.payloads import BASE58, SIGNATURE_LENGTH, Payloads

# Pieces of a real transaction that stand in lists, a few hundred bytes each.
LISTS = ("accountData", "instructions", "nativeTransfers", "tokenTransfers")
# Payloads made; more than a flush takes, and making one takes far longer than signing it anew.
DISTINCT = 2048
UNSIGNED = b"S" * SIGNATURE_LENGTH
_SIGNATURE = slice(len('{"signature":"'), len('{"signature":"') + SIGNATURE_LENGTH)
# From any byte to a digit.
_DIGITS = bytes(BASE58.encode()[byte % len(BASE58)] for byte in range(256))
# So many pieces in turn that are too long for what is left, and the rest is made up.
TOO_LONG = 8


def bodies_for(load: Load, count: int, seed: int) -> list[Body]:
    """So many bodies; no two transactions of one flush have the same payload."""
    supply = _small if load.item_bytes is None else Sized(load.item_bytes, seed).items
    items = cycle(supply(min(count * load.batch_items, DISTINCT)))
    draw = random.Random(seed)
    return [_signed(list(islice(items, load.batch_items)), draw) for _ in range(count)]


def _small(count: int) -> list[bytes]:
    """The transfers of the benchmark."""
    bodies = pool_of("small", 1, count, random.getrandbits(32))
    return [bytes(body.data).replace(body.data[_SIGNATURE], UNSIGNED) for body in bodies]


def _signed(items: list[bytes], draw: random.Random) -> Body:
    """A body of these, each with a signature of its own."""
    body = Body([(UNSIGNED.decode(), item) for item in items], is_array=len(items) > 1)
    data, at = body.data, 0
    while (at := data.find(UNSIGNED, at)) >= 0:
        data[at : at + SIGNATURE_LENGTH] = draw.randbytes(SIGNATURE_LENGTH).translate(_DIGITS)
    return body


class Sized:
    """Transactions of exactly so many bytes, `{"signature":…,"slot":…,"payload":…}` included."""

    def __init__(self, item_bytes: int, seed: int) -> None:
        self._bytes = item_bytes
        self._random = random.Random(seed)
        self._pieces = _pieces(seed)

    def items(self, count: int) -> list[bytes]:
        """So many, not yet signed."""
        return [self._item() for _ in range(count)]

    def _item(self) -> bytes:
        head = f'{{"signature":"{UNSIGNED.decode()}","slot":380000000,"payload":{{"parts":['
        tail = '],"memo":"%s"}}'
        room = self._bytes - len(head) - len(tail) + len("%s")
        parts, failed = [], 0
        while failed < TOO_LONG:
            piece = next(self._pieces)
            if len(piece) + 1 > room:
                failed += 1
                continue
            parts.append(piece)
            room -= len(piece) + (len(parts) > 1)
        memo = "".join(self._random.choices(BASE58, k=room))
        return f"{head}{','.join(parts)}{tail % memo}".encode()


def _pieces(seed: int) -> Iterator[str]:
    supply = Payloads(seed)
    while True:
        [(_, data)] = supply.items(1)
        payload: dict[str, Any] = json.loads(data)["payload"]
        for name in LISTS:
            for piece in payload.get(name) or []:
                yield json.dumps(piece, separators=(",", ":"))
