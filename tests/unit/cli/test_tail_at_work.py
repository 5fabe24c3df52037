"""`tidegate tail` and the client against real gates, through what happens to gates, readers and to itself."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import psutil
import pytest

from tests.support.gate import GateProcess, gate_process, tidegate_command
from tests.support.pages import ROOT
from tests.support.processes import free_port, wait_until
from tests.support.servers import StoreServer, valkey_server

PATIENCE = 60
TOKEN = "one-for-ingest"
CONSUMER = ["--consumer", "bot"]
NODE_BOT = [
    "node",
    "-e",
    """const { spawn } = require("child_process");
    const tail = spawn(process.argv[1], process.argv.slice(2), { stdio: ["ignore", "pipe", "inherit"] });
    console.log(tail.pid);""",
]


@pytest.fixture
def gate(valkey: StoreServer) -> Iterator[GateProcess]:
    """A gate whose leases last a second, so that what is not committed comes again soon.

    No client takes its port while it is down.
    """
    short = {"lease_seconds": 1, "dedup_window_seconds": 60}
    with gate_process(store_url=valkey.url, port=free_port(), **short) as started:
        yield started


def _post(
    gate: GateProcess, numbers: Iterable[int], source: str = "helius-a", payload: str | None = None
) -> None:
    items = [{"signature": f"s-{n}", "source": source, "payload": payload or {"n": n}} for n in numbers]
    with gate.client(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        assert client.post("/transactions", json=items).json()["accepted"] == len(items)


def _consumers(gate: GateProcess) -> list[str]:
    with gate.client() as client:
        return [consumer["name"] for consumer in client.get("/consumers").json()["consumers"]]


def _standstill(gate: GateProcess, polls: int = 40) -> Callable[[], bool]:
    """Tell whether something was handed out, and no more at each of many looks: its reader waits."""
    seen: list[list[int]] = []

    def looked() -> bool:
        with gate.client() as client:
            seen.append([one["delivered"] for one in client.get("/consumers").json()["consumers"]])
        return len(seen) >= polls and any(seen[-1]) and seen[-polls:] == [seen[-1]] * polls

    return looked


@contextmanager
def _running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A command that reads from gates; killed in the end, should it run still.

    What a test has not read of its lines is in the pipe, and not in a buffer of Python's.
    """
    environment = {"PATH": "/usr/bin:/bin", "TIDEGATE_TOKEN": TOKEN}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, bufsize=0, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=environment
    ) as run:
        try:
            yield run
        finally:
            run.kill()


def _tail(*arguments: str, gates: Sequence[GateProcess]) -> list[str]:
    urls = [part for gate in gates for part in ("--url", gate.url)]
    return [tidegate_command(), "tail", *arguments, *urls]


def _printed(*arguments: str, gate: GateProcess) -> tuple[list[str], str]:
    """The signatures that a tail with a limit prints, `gap` for a gap; and what it says on stderr."""
    with _running(_tail(*arguments, gates=[gate])) as tail:
        printed, said = tail.communicate(timeout=PATIENCE)
    assert tail.returncode == 0, said
    return [json.loads(line).get("signature", "gap") for line in printed.splitlines()], said.decode()


def _next(tail: subprocess.Popen[bytes], count: int) -> list[str]:
    """The signatures of the next lines of a tail that goes on."""
    assert tail.stdout is not None
    return [json.loads(tail.stdout.readline())["signature"] for _ in range(count)]


def _names(numbers: Iterable[int]) -> list[str]:
    return [f"s-{n}" for n in numbers]


def test_a_consumer_prints_each_transaction_once_and_another_one_all_of_them_too(gate: GateProcess) -> None:
    _post(gate, range(30))
    first = _printed(*CONSUMER, "--limit", "20", "--batch-lines", "7", gate=gate)[0]
    rest = _printed(*CONSUMER, "--limit", "10", gate=gate)[0]
    assert first + rest == _names(range(30))
    assert _printed("--consumer", "other", "--limit", "30", gate=gate)[0] == _names(range(30))
    with _running(_tail("--consumer", "new", "--from", "now", gates=[gate])) as tail:
        assert wait_until(lambda: "new" in _consumers(gate), PATIENCE)
        _post(gate, [30])
        assert _next(tail, 1) == ["s-30"]


def test_a_stream_goes_on_behind_a_cursor_it_has_printed(gate: GateProcess) -> None:
    _post(gate, range(10))
    with _running(_tail("--from", "oldest", "--limit", "4", gates=[gate])) as tail:
        printed, _ = tail.communicate(timeout=PATIENCE)
    cursor = json.loads(printed.splitlines()[-1])["cursor"]
    assert _printed("--after", cursor, "--limit", "6", gate=gate) == (_names(range(4, 10)), "")


@pytest.mark.parametrize("reader", [["--from", "oldest"], CONSUMER])
def test_only_the_sources_wanted_are_printed(gate: GateProcess, reader: list[str]) -> None:
    _post(gate, range(5), "a")
    _post(gate, range(5, 10), "b")
    _post(gate, range(10, 15), "c")
    wanted = ["--source", "a", "--source", "c", "--no-payload", "--limit", "10"]
    assert _printed(*reader, *wanted, gate=gate)[0] == _names([*range(5), *range(10, 15)])


def test_what_a_killed_tail_had_not_committed_comes_again_and_nothing_else(gate: GateProcess) -> None:
    _post(gate, range(50))
    with _running(_tail(*CONSUMER, "--batch-lines", "10", gates=[gate])) as tail:
        assert _next(tail, 25) == _names(range(25))
        tail.kill()
        assert tail.stdout is not None
        rest = tail.stdout.read()
    assert rest.endswith(b"\n")
    again = _printed(*CONSUMER, "--batch-lines", "10", "--limit", "30", gate=gate)[0]
    assert sorted(again) == sorted(_names(range(20, 50)))


def test_a_reader_that_dies_is_handed_again_what_it_had_not_read(gate: GateProcess) -> None:
    _post(gate, range(20))
    with _running(_tail(*CONSUMER, "--batch-lines", "10", gates=[gate])) as tail:
        assert _next(tail, 15) == _names(range(15))
        assert tail.stdout is not None
        tail.stdout.close()
        assert tail.wait(PATIENCE) == 0
    assert _printed(*CONSUMER, "--limit", "10", gate=gate)[0] == _names(range(10, 20))


def test_a_program_in_node_that_dies_is_handed_again_what_it_had_not_read(gate: GateProcess) -> None:
    """Node itself reads a first part, less than a lease. The rest stays in its pipe, which is a socket."""
    _post(gate, range(400), payload="x" * 1_000)
    with _running([*NODE_BOT, *_tail(*CONSUMER, "--batch-lines", "100", gates=[gate])]) as bot:
        assert bot.stdout is not None
        tail = psutil.Process(int(bot.stdout.readline()))
        assert wait_until(_standstill(gate), PATIENCE)
        bot.kill()
        assert wait_until(lambda: not tail.is_running() or tail.status() == psutil.STATUS_ZOMBIE, PATIENCE)
    again = _printed(*CONSUMER, "--limit", "400", gate=gate)[0]
    assert sorted(again) == sorted(_names(range(400)))


@pytest.mark.parametrize("reader", [["--from", "oldest"], CONSUMER])
def test_a_gate_that_is_killed_leaves_its_reader_to_another(
    valkey: StoreServer, gate: GateProcess, reader: list[str]
) -> None:
    with gate_process(store_url=valkey.url, lease_seconds=1, dedup_window_seconds=60) as other:
        _post(gate, range(10))
        with _running(_tail(*reader, gates=[gate, other])) as tail:
            assert _next(tail, 10) == _names(range(10))
            gate.kill()
            _post(other, range(10, 20))
            assert _next(tail, 10) == _names(range(10, 20))
            tail.terminate()
            assert tail.wait(PATIENCE) == 0
            assert tail.stderr is not None
            said = tail.stderr.read().decode()
    assert f"trying {other.url} again until it answers" in said


def test_a_gate_that_stops_and_comes_again_is_waited_for(valkey: StoreServer, gate: GateProcess) -> None:
    _post(gate, range(3))
    with _running(_tail(*CONSUMER, gates=[gate])) as tail:
        assert _next(tail, 3) == _names(range(3))
        assert gate.terminate() == 0
        port = gate.url.rpartition(":")[2]
        with gate_process(store_url=valkey.url, port=port, dedup_window_seconds=60) as again:
            _post(again, range(3, 6))
            assert _next(tail, 3) == _names(range(3, 6))


@pytest.mark.parametrize("reader", [["--from", "oldest"], CONSUMER])
def test_what_left_before_it_was_read_is_a_gap_with_its_number(
    valkey: StoreServer, reader: list[str]
) -> None:
    with gate_process(store_url=valkey.url, transactions_limit=1000) as gate:
        _post(gate, range(10))
        first = _printed(*CONSUMER, "--limit", "10", gate=gate)[0]
        with _running(_tail("--from", "oldest", "--limit", "10", gates=[gate])) as tail:
            cursor = json.loads(tail.communicate(timeout=PATIENCE)[0].splitlines()[-1])["cursor"]
        for begin in range(10, 5010, 500):
            _post(gate, range(begin, begin + 500))
        begun = reader if reader is CONSUMER else ["--after", cursor]
        with _running(_tail(*begun, "--no-payload", "--limit", "1", gates=[gate])) as tail:
            printed, said = tail.communicate(timeout=PATIENCE)
    gap, line = map(json.loads, printed.splitlines())
    assert first == _names(range(10))
    assert line["signature"] == f"s-{10 + gap['gap']['transactions']}"
    assert gap["gap"]["transactions"] > 0
    assert b"transactions left before they were read" in said


@pytest.mark.server
def test_a_store_that_is_gone_is_waited_for() -> None:
    with valkey_server() as valkey, gate_process(store_url=valkey.url) as gate:
        _tail_through_a_loss(valkey, gate)


def _tail_through_a_loss(valkey: StoreServer, gate: GateProcess) -> None:
    _post(gate, range(3))
    with _running(_tail(*CONSUMER, gates=[gate])) as tail:
        assert _next(tail, 3) == _names(range(3))
        valkey.kill()
        assert wait_until(lambda: not gate.is_ready(), PATIENCE)
        valkey.start()
        assert wait_until(gate.is_ready, PATIENCE)
        _post(gate, range(3, 6))
        assert _next(tail, 3) == _names(range(3, 6))


def test_reading_needs_a_token_where_the_gate_has_some(valkey: StoreServer) -> None:
    with gate_process(store_url=valkey.url, ingest_tokens=TOKEN, admin_tokens="another") as gate:
        _post(gate, range(3))
        assert _printed(*CONSUMER, "--limit", "3", gate=gate)[0] == _names(range(3))
        command = [tidegate_command(), "tail", "--url", gate.url]
        done = subprocess.run(
            command, env={}, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
        )
    assert done.returncode == 1
    assert b"Set TIDEGATE_TOKEN, or pass --token-file" in done.stderr


def test_the_example_of_a_program_acts_on_each_transaction(gate: GateProcess) -> None:
    _post(gate, range(3))
    example = [sys.executable, str(ROOT / "docs" / "examples" / "consume.py"), gate.url]
    with _running(example) as program:
        assert program.stdout is not None
        assert [program.stdout.readline() for _ in range(3)] == [
            b"s-%d {'n': %d}\n" % (n, n) for n in range(3)
        ]
