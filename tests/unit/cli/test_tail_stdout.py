"""`tidegate tail` and what its stdout is: what it commits, and how it ends, when nobody reads."""

import os
import signal
from pathlib import Path
from threading import Event

import pytest

from tests.support.handing_out import lease, line
from tests.support.processes import wait_until
from tests.support.stand_in import in_turn
from tests.support.stdouts import BOTH, Open
from tests.support.tail_process import DONE, PATIENCE, commits, held, tail_process
from tests.unit.cli.conftest import Serve


@BOTH
def test_a_lease_that_nobody_has_read_is_not_committed(serve: Serve, release: Event, opened: Open) -> None:
    gate = serve(held(release, lease("l-1", [line(1), line(2)]), DONE))
    reading, writing = opened()
    with tail_process("--consumer", "bot", gate=gate, stdout=writing) as process:
        os.close(writing)
        assert os.read(reading, 10) == line(1).encode()[:10]
        assert process.poll() is None
        assert commits(gate) == []
        os.close(reading)
        _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (0, b"")
    assert commits(gate) == []


def test_a_lease_is_committed_once_its_lines_are_read(serve: Serve, release: Event) -> None:
    gate = serve(held(release, lease("l-1", [line(1), line(2)]), DONE))
    with tail_process("--consumer", "bot", gate=gate) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().decode().rstrip("\n") for _ in range(2)] == [line(1), line(2)]
        assert wait_until(lambda: commits(gate) == ["l-1"], PATIENCE)


@BOTH
@pytest.mark.parametrize("consumer", [[], ["--consumer", "bot"]])
def test_a_reader_that_has_gone_ends_it_though_nothing_comes(
    serve: Serve, release: Event, consumer: list[str], opened: Open
) -> None:
    gate = serve(held(release))
    reading, writing = opened()
    with tail_process(*consumer, gate=gate, stdout=writing) as process:
        os.close(writing)
        assert wait_until(lambda: bool(gate.requests), PATIENCE)
        os.close(reading)
        _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (0, b"")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
@pytest.mark.parametrize("consumer", [[], ["--consumer", "bot"]])
def test_a_signal_ends_it_without_a_traceback(
    serve: Serve, release: Event, consumer: list[str], number: signal.Signals, code: int
) -> None:
    gate = serve(held(release))
    with tail_process(*consumer, gate=gate) as process:
        assert wait_until(lambda: bool(gate.requests), PATIENCE)
        process.send_signal(number)
        printed, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, printed, said.strip()) == (code, b"", b"")


@BOTH
def test_a_signal_ends_it_between_two_lines_though_its_reader_stands_still(
    serve: Serve, opened: Open
) -> None:
    long = [line(number, payload=f'"{"x" * 200_000}"') for number in range(20)]
    gate = serve(in_turn(lease("l-1", long)))
    reading, writing = opened()
    with tail_process("--consumer", "bot", gate=gate, stdout=writing) as process:
        os.close(writing)
        assert os.read(reading, 1) == b"{"
        process.terminate()
        with os.fdopen(reading, "rb") as rest:
            assert process.wait(PATIENCE) == 0
            read = b"{" + rest.read()
    assert read.endswith(b"\n")
    assert read.decode().splitlines() == long[: read.count(b"\n")]
    assert read.count(b"\n") < 20
    assert commits(gate) == []


def test_a_signal_ends_it_though_its_terminal_stands_still(serve: Serve) -> None:
    """As after Ctrl-S: nobody reads what a terminal holds, which is some 8 KiB."""
    gate = serve(in_turn(lease("l-1", [line(number) for number in range(1000)])))
    screen, terminal = os.openpty()
    with tail_process("--consumer", "bot", gate=gate, stdout=terminal) as process:
        os.close(terminal)
        assert os.read(screen, 1) == b"{"
        process.terminate()
        assert process.wait(PATIENCE) == 0
    os.close(screen)
    assert commits(gate) == []


def test_into_a_file_it_commits_what_is_written(serve: Serve, release: Event, tmp_path: Path) -> None:
    gate = serve(held(release, lease("l-1", [line(1)]), DONE))
    file = tmp_path / "lines"
    with file.open("wb") as output, tail_process("--consumer", "bot", gate=gate, stdout=output.fileno()):
        assert wait_until(lambda: commits(gate) == ["l-1"], PATIENCE)
        assert file.read_text() == line(1) + "\n"


def test_a_disk_that_is_full_commits_nothing(serve: Serve) -> None:
    gate = serve(in_turn(lease("l-1", [line(1)])))
    with (
        Path("/dev/full").open("wb") as full,
        tail_process("--consumer", "b", gate=gate, stdout=full.fileno()) as done,
    ):
        _, said = done.communicate(timeout=PATIENCE)
    assert done.returncode == 1
    assert said.startswith(b"Error: [Errno 28]")
    assert commits(gate) == []
