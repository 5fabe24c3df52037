"""Bodies of feeds leave a real gate's memory as it was, and take no more than their budget."""

import gzip
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import psutil
import pytest

from tests.http.test_memory import ANSWERS_BESIDE_A_BOMB, assert_withstands
from tests.support.feed_calls import raw
from tests.support.gate import GateProcess, gate_program
from tests.support.http_calls import DEEP, MIB, nested, zeros_gzip

# A block of a thousand transactions of 5 KB, and what may be left of it in memory.
TRANSACTIONS, LOG_BYTES = 1_000, 4_800
LEFT_BYTES = 5 * MIB


def real_sized_block(prefix: str) -> bytes:
    """A block of 5 MB."""
    transactions = [
        raw(at, prefix) | {"meta": {"err": None, "log": "x" * LOG_BYTES}} for at in range(TRANSACTIONS)
    ]
    return msgspec.json.encode({"blockhash": "B" * 44, "transactions": transactions})


@pytest.fixture
def warm_gate() -> Iterator[GateProcess]:
    """A gate that has worked a while."""
    with gate_program(transactions_limit=5_000) as started:
        for prefix in "23456":
            assert post(started, real_sized_block(prefix)) == 200
        yield started


def post(gate: GateProcess, body: bytes, coding: str = "") -> int:
    """The status of a body's answer, of a client of its own."""
    with gate.client() as client:
        headers = {"Content-Encoding": coding}
        return client.post("/feeds/helius-a", content=body, headers=headers).status_code


def many(fill: bytes, size: int) -> bytes:
    """An array of nothing but `fill`."""
    return b"[" + b",".join([fill] * (size // (len(fill) + 1) - 10)) + b"]"


ATTACKS: dict[str, Callable[[GateProcess], list[int]]] = {
    "bombs": lambda gate: [post(gate, zeros_gzip(1024), "gzip") for _ in range(4)],
    "deep": lambda gate: [
        post(gate, body) for body in (b"[" * 4 * DEEP, nested(4 * DEEP), b'{"result":' * DEEP + b"1")
    ],
    "huge strings": lambda gate: [post(gate, b'{"blockhash":"' + b"x" * 30 * MIB + b'"}')],
    "garbage": lambda gate: [post(gate, b"\xff" * 30 * MIB)],
    "too large": lambda gate: [post(gate, b"[" + b" " * 65 * MIB)],
}
TINY: dict[str, Callable[[GateProcess], list[int]]] = {
    # Each `{}` takes memory while it is looked at; the others are the same few values each time.
    "plain": lambda gate: [
        post(gate, many(fill, size * MIB)) for fill, size in ((b"1", 1), (b"{}", 4), (b"null", 1))
    ],
    "gzip": lambda gate: [post(gate, gzip.compress(many(b"[]", 32 * MIB), 1), "gzip")],
}


def test_a_barrage_of_bad_bodies_leaves_memory_as_it_was(warm_gate: GateProcess) -> None:
    assert_withstands(
        warm_gate, lambda: [status for attack in ATTACKS.values() for status in attack(warm_gate)]
    )


@pytest.mark.parametrize("name", TINY)
def test_millions_of_tiny_documents_leave_memory_as_it_was(warm_gate: GateProcess, name: str) -> None:
    assert_withstands(warm_gate, lambda: TINY[name](warm_gate))


def test_blocks_leave_memory_as_it_was(warm_gate: GateProcess) -> None:
    process = psutil.Process(warm_gate.process.pid)
    before = process.memory_info().rss
    for prefix in "789ABC":
        assert post(warm_gate, real_sized_block(prefix)) == 200
    grown = process.memory_info().rss - before
    assert grown < LEFT_BYTES, f"{grown / MIB:.1f} MiB"


def test_others_are_answered_while_a_large_body_is_processed(warm_gate: GateProcess) -> None:
    body = many(msgspec.json.encode({"event": "push"}), MIB)
    with warm_gate.client() as other, ThreadPoolExecutor(1) as pool:
        sending, answers = pool.submit(post, warm_gate, body), 0
        while not sending.done():
            answers += other.get("/livez").status_code == 200
        assert sending.result() == 422
    assert answers >= ANSWERS_BESIDE_A_BOMB
