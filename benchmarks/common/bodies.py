"""Request bodies made before the clock starts, and made fresh in place while it runs.

A pool of bodies is used over and over. Patched are a few characters of every signature, the same ones in the
whole body, whose signatures differ in the others: 0.2 µs a transaction, once for all three feeds.
"""

import json
import random
import re
from collections.abc import Iterator
from itertools import count, cycle, islice
from typing import Any

from benchmarks.common.plan import Plan
from tests.support.payloads import ACCOUNT_LENGTH, BASE58, SIGNATURE_LENGTH, TEXTS, Item, Payloads, payload_of

SMALL_BYTES, AMOUNTS = 650, (10**6, 10**10)
# Payloads made; more than a flush takes, and making one takes far longer than signing it anew.
DISTINCT = 2048
# Pieces of a real transaction that stand in lists, a few hundred bytes each.
LISTS = ("accountData", "instructions", "nativeTransfers", "tokenTransfers")
# So many pieces in turn that are too long for what is left, and the rest is made up.
TOO_LONG = 8
# What a signature has at this place until its generation is written there; no JSON has such bytes.
AT, MISSING = 40, bytes(4)
# What stands around the transactions of a body, by its form.
BLOCK_HEAD = (
    b'{"blockHeight":360000000,"blockTime":1795399566,'
    b'"blockhash":"DJjpZ8xhyb9dpYZPBhnMHbBbEYQJSEXWjyJbK1qEsyXX","parentSlot":379999999,'
    b'"previousBlockhash":"HP9x8mHUmzGmNqMMfnVhGH7RGAm7CYGqkQGAFsWj2NNp","rewards":[],"transactions":['
)
# For `set` it is `SET dedup:SIGNATURE feed NX EX 5` in the store's protocol: each word behind its length.
AROUND = {
    "items": (b"[", b"]"),
    "documents": (b"[", b"]"),
    "block": (BLOCK_HEAD, b"]}"),
    "set": (
        b"*6\r\n$3\r\nSET\r\n$%d\r\ndedup:" % (len("dedup:") + SIGNATURE_LENGTH),
        b"\r\n$8\r\nhelius-a\r\n$2\r\nNX\r\n$2\r\nEX\r\n$1\r\n5\r\n",
    ),
}
# From any byte to a digit.
_DIGITS = bytes(BASE58.encode()[byte % len(BASE58)] for byte in range(256))


class Body:
    """One body and the places where its signatures differ from one generation to the next."""

    def __init__(self, text: bytes) -> None:
        self.data = bytearray(text)
        self._places = [found.start() for found in re.finditer(MISSING, text)]
        self.renew(0)

    def renew(self, generation: int) -> None:
        """Give every transaction a signature it has not had in an earlier generation."""
        data, mark = self.data, _mark(generation)
        for place in self._places:
            data[place : place + len(MISSING)] = mark


def pool_of(plan: Plan, bodies: int, seed: int) -> list[Body]:
    """Make so many bodies: no two transactions of a flush share a payload, and none share a signature."""
    made = islice(supply(plan.payload, seed), min(bodies * plan.batch_items, DISTINCT))
    signed = _signed_anew([*made], plan.form, random.Random(f"{seed} {plan.payload}"))
    opening, closing = AROUND[plan.form] if plan.batch_items > 1 or plan.form == "set" else (b"", b"")
    batches = (b",".join(islice(signed, plan.batch_items)) for _ in range(bodies))
    return [Body(opening + batch + closing) for batch in batches]


def _signed_anew(items: list[Item], form: str, draw: random.Random) -> Iterator[bytes]:
    """What is sent of the transactions, over and over, each with a signature that lacks the same digits."""
    for item in cycle(items):
        signature, own = item[0].encode(), _base58(draw, SIGNATURE_LENGTH).encode()
        sent = {"items": item[1], "set": signature}.get(form) or payload_of(item)
        yield sent.replace(signature, own[:AT] + MISSING + own[AT + len(MISSING) :])


def supply(payload: str | int, seed: int) -> Iterator[Item]:
    """An endless supply of transactions with the payload that a plan names."""
    if payload == "small":
        yield from _small(seed)
    elif payload in TEXTS:
        real = Payloads(seed, str(payload))
        while True:
            yield from real.items(1)
    else:
        yield from _sized(int(payload), seed)


def _small(seed: int) -> Iterator[Item]:
    """Transfers of 650 bytes, with accounts and amounts of their own."""
    source = random.Random(seed)
    draw, accounts = source.randrange, [_base58(source, ACCOUNT_LENGTH) for _ in range(4096)]
    for slot in count(380_000_000):
        signature = _base58(source, SIGNATURE_LENGTH)
        payer, payee = source.choices(accounts, k=2)
        payload: dict[str, object] = {
            "type": "TRANSFER",
            "fee": 5000 + draw(4000),
            "feePayer": payer,
            "timestamp": 1_795_399_566,
            "nativeTransfers": [{"fromUserAccount": payer, "toUserAccount": payee, "amount": draw(*AMOUNTS)}],
            "accountData": [
                {"account": payer, "nativeBalanceChange": -draw(*AMOUNTS)},
                {"account": payee, "nativeBalanceChange": draw(*AMOUNTS)},
            ],
            "memo": "",
        }
        document = {"signature": signature, "slot": slot, "payload": payload}
        payload["memo"] = _base58(source, SMALL_BYTES - len(_compact(document)))
        yield signature, _compact(document).encode()


def _sized(item_bytes: int, seed: int) -> Iterator[Item]:
    """Transactions of exactly so many bytes, `{"signature":…,"slot":…,"payload":…}` included.

    They are made of pieces of real ones, so that they compress about as well.
    """
    source, pieces = random.Random(seed), _pieces(seed)
    while True:
        signature = _base58(source, SIGNATURE_LENGTH)
        head = f'{{"signature":"{signature}","slot":380000000,"payload":{{"parts":['
        tail = '],"memo":"%s"}}'
        room = item_bytes - len(head) - len(tail) + len("%s")
        parts: list[str] = []
        failed = 0
        while failed < TOO_LONG:
            piece = next(pieces)
            if len(piece) + 1 > room:
                failed += 1
                continue
            parts.append(piece)
            room -= len(piece) + (len(parts) > 1)
        yield signature, f"{head}{','.join(parts)}{tail % _base58(source, room)}".encode()


def _pieces(seed: int) -> Iterator[str]:
    for _, data in supply("enhanced", seed):
        payload: dict[str, Any] = json.loads(data)["payload"]
        for name in LISTS:
            yield from map(_compact, payload.get(name) or [])


def _base58(source: random.Random, length: int) -> str:
    return source.randbytes(length).translate(_DIGITS).decode()


def _compact(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))


def _mark(generation: int) -> bytes:
    """The digits of a generation, the last one first."""
    return "".join(
        BASE58[generation // len(BASE58) ** place % len(BASE58)] for place in range(len(MISSING))
    ).encode()
