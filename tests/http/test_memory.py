"""Bad input of any kind leaves a real gate's memory as it was, and lets it take no more than its budget."""

import gzip
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.gate import GateProcess, gate_program
from tests.support.http_calls import DEEP, JSON, MIB, NDJSON, array, item, nested, with_payload, zeros_gzip

GROWTH_BYTES = 24 * MIB
# Bodies may hold TIDEGATE_MAX_IN_FLIGHT_BYTES = 64 MiB together, and each is copied once.
PEAK_BYTES = 160 * MIB
# A gate that processed all of it in one go would let one through, asked before, and perhaps another.
ANSWERS_BESIDE_A_BOMB = 5


@pytest.fixture
def warm_gate() -> Iterator[GateProcess]:
    """A gate of its own that has worked a while."""
    with gate_program() as started, started.client() as client:
        for batch in range(5):
            items = (item(f"{batch}-{n}", payload="x" * 500) for n in range(1000))
            assert send(client, array(items)) == 200
            assert send(client, gzip.compress(b"nothing"), coding="gzip") == 400
        yield started


def send(client: httpx.Client, body: bytes | Iterator[bytes], media: str = JSON, coding: str = "") -> int:
    headers = {"Content-Type": media, "Content-Encoding": coding}
    return client.post("/transactions", content=body, headers=headers).status_code


def white_space(piece: bytes, mebibytes: int) -> Iterator[bytes]:
    """Sent without a Content-Length."""
    return (piece * (MIB // len(piece)) for _ in range(mebibytes))


def bodies(fill: bytes, size: int) -> tuple[bytes, bytes]:
    """A batch of nothing but `fill`, by itself and after an item that is not strict JSON."""
    many = b",".join([fill] * (size // (len(fill) + 1) - 10))
    return b"[" + many + b"]", b"[NaN,[" + many + b"]]"


Attack = Callable[[httpx.Client], list[int]]
ATTACKS: dict[str, Attack] = {
    "bombs": lambda c: [send(c, zeros_gzip(1024), media, "gzip") for media in (JSON, NDJSON) * 2],
    "deep": lambda c: [
        send(c, body, media)
        for media in (JSON, NDJSON)
        for body in (with_payload(nested(DEEP)), array([nested(DEEP)]), b"[" * 4 * DEEP, nested(4 * DEEP))
    ],
    "huge strings and numbers": lambda c: [
        send(c, body, media)
        for media in (JSON, NDJSON)
        for body in (b'"' + b"x" * 8 * 10**6 + b'"', b"1" * 8 * 10**6, b"[" + b"7" * 8 * 10**6 + b"]")
    ],
    "huge garbage": lambda c: [send(c, b"\xff" * 8 * MIB, media) for media in (JSON, NDJSON) * 3],
    "too large": lambda c: [send(c, b"[" + b" " * 20 * MIB) for _ in range(2)],
    "white space": lambda c: [send(c, white_space(b" ", 200), media) for media in (JSON, NDJSON)],
    "blank lines": lambda c: [send(c, white_space(b"\r\n", 4), NDJSON)],
}
ARRAYS: dict[str, Attack] = {
    "8 MiB of": lambda c: [send(c, body) for fill in (b"1", b"[]", b"{}") for body in bodies(fill, 8 * MIB)],
    "32 MiB, gzip, of": lambda c: [
        send(c, gzip.compress(body, 1), coding="gzip") for body in bodies(b"[]", 32 * MIB)
    ],
}


def peak_bytes(gate: GateProcess) -> int:
    """The most it ever had resident."""
    lines = Path(f"/proc/{gate.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def assert_withstands(gate: GateProcess, attack: Callable[[], list[int]]) -> None:
    process = psutil.Process(gate.process.pid)
    before = process.memory_info().rss
    statuses = attack()
    grown, most = process.memory_info().rss - before, peak_bytes(gate) - before
    assert set(statuses) <= {200, 400, 413, 422}, statuses
    assert gate.is_ready()
    assert grown < GROWTH_BYTES, f"{grown / MIB:.1f} MiB more, {most / MIB:.1f} MiB at the most"
    assert most < PEAK_BYTES, f"{most / MIB:.1f} MiB more at the most"


def test_a_barrage_of_bad_input_leaves_memory_as_it_was(warm_gate: GateProcess) -> None:
    with warm_gate.client() as client:
        assert_withstands(
            warm_gate, lambda: [status for attack in ATTACKS.values() for status in attack(client)]
        )


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_millions_of_tiny_items_take_no_more_than_their_bytes(
    warm_gate: GateProcess, name: str
) -> None:
    with warm_gate.client() as client:
        assert_withstands(warm_gate, lambda: ARRAYS[name](client))


def test_many_bombs_of_lines_at_once_stay_within_the_budget(warm_gate: GateProcess) -> None:
    lines = b"".join(item(f"s{n}", payload="x" * 1000).ljust(30_000) + b"\n" for n in range(1000))
    bomb = gzip.compress(lines, 9)

    def attack() -> list[int]:
        with warm_gate.client() as client, ThreadPoolExecutor(16) as pool:
            return list(pool.map(lambda _: send(client, bomb, NDJSON, "gzip"), range(16)))

    assert_withstands(warm_gate, attack)


def test_others_are_answered_while_a_bomb_of_lines_is_processed(warm_gate: GateProcess) -> None:
    bomb = gzip.compress(b"1\n" * (MIB // 8))
    with warm_gate.client() as client, warm_gate.client() as other, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send, client, bomb, NDJSON, "gzip")
        answers = 0
        while not sending.done():
            answers += other.get("/livez").status_code == 200
        assert sending.result() == 422
    assert answers >= ANSWERS_BESIDE_A_BOMB
