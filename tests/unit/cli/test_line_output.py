"""Lines on stdout are whole, whenever the process ends, and a reader's end is noticed."""

import asyncio
import fcntl
import os
import socket
import struct
import subprocess
import sys
import termios
from pathlib import Path
from threading import Thread

import pytest

from app.cli.tail import stdout_kinds
from app.cli.tail.line_output import LineOutput
from tests.support.processes import wait_until
from tests.support.stdouts import BOTH, Open

KIB = 1024
# Far less than, about, and far more than a page; the last two are longer than a pipe of the usual size.
LENGTHS = [10, 650, 4095, 4096, 4097, 5500, 2100, 2100, 70_000, 262_144]
WRITES_ON = """
import asyncio
from app.cli.tail import line_output, stdout_kinds

stdout_kinds.WANTED_BYTES = {buffer_bytes}

async def write():
    output = line_output.LineOutput(1)
    lines = [b"x" * length for length in {lengths}]
    while True:
        await output.write(lines)
        await output.write(lines[:3])

asyncio.run(write())
"""


def _queued(descriptor: int) -> int:
    count: int = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))[0]
    return count


def _settled(descriptor: int, polls: int = 40) -> bool:
    """Tell whether something is to be read, and the same at each of many looks: its writer waits."""
    seen: list[int] = []

    def looked() -> bool:
        seen.append(_queued(descriptor))
        return len(seen) >= polls and len(set(seen[-polls:])) == 1 and seen[-1] > 0

    return wait_until(looked, 60)


@BOTH
@pytest.mark.parametrize("taken", [0, 1, 3000, 50_000, 500_000])
@pytest.mark.parametrize(("buffer_bytes", "lengths"), [(64 * KIB, LENGTHS[:-2]), (1024 * KIB, LENGTHS)])
def test_not_even_kill_9_tears_a_line(
    opened: Open, buffer_bytes: int, lengths: list[int], taken: int
) -> None:
    program = WRITES_ON.format(buffer_bytes=buffer_bytes, lengths=lengths)
    reading, writing = opened()
    with (
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.DEVNULL, stdout=writing) as writer,
        os.fdopen(reading, "rb") as reader,
    ):
        os.close(writing)
        assert _settled(reading)
        read = b""
        while len(read) < taken:
            read += os.read(reading, min(777, taken - len(read)))
        assert _settled(reading), "the writer filled what was read"
        writer.kill()
        read += reader.read()
    *lines, end = read.split(b"\n")
    assert end == b"", f"a line of {len(end)} bytes was cut off"
    assert {len(line) for line in lines} <= set(lengths)


@BOTH
async def test_everything_is_written_in_order_to_a_reader_that_is_slower(opened: Open) -> None:
    lines = [b"%d " % n + b"y" * length for n, length in enumerate(LENGTHS * 30)]
    reading, writing = opened()
    output = LineOutput(writing)

    def read_all() -> bytes:
        read = b""
        while part := os.read(reading, 10_000):
            read += part
        return read

    reader = asyncio.create_task(asyncio.to_thread(read_all))
    await output.write(lines)
    await output.taken()
    assert _queued(reading) == 0
    os.close(writing)
    assert await reader == b"".join(line + b"\n" for line in lines)
    os.close(reading)


@BOTH
async def test_a_line_that_has_never_room_is_written_all_the_same(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdout_kinds, "WANTED_BYTES", 4096)
    reading, writing = opened()
    write = asyncio.create_task(asyncio.to_thread(asyncio.run, LineOutput(writing).write([b"z" * 100_000])))
    read = b""
    while len(read) <= 100_000:
        read += await asyncio.to_thread(os.read, reading, 65_536)
    await write
    assert read == b"z" * 100_000 + b"\n"
    os.close(reading)
    os.close(writing)


@BOTH
async def test_lines_are_taken_when_the_reader_has_read_them_and_not_before(opened: Open) -> None:
    reading, writing = opened()
    output = LineOutput(writing)
    await output.write([b"one", b"two"])
    taken = asyncio.create_task(output.taken())
    await asyncio.sleep(0)
    assert not taken.done()
    assert os.read(reading, 4) == b"one\n"
    await asyncio.sleep(0)
    assert not taken.done()
    os.read(reading, 4)
    await asyncio.wait_for(taken, 60)
    os.close(reading)
    os.close(writing)


@BOTH
async def test_a_reader_that_is_gone_has_taken_nothing(opened: Open) -> None:
    reading, writing = opened()
    output = LineOutput(writing)
    gone = asyncio.Event()
    output.when_closed(gone.set)
    await output.write([b"one"])
    assert not gone.is_set()
    os.close(reading)
    await asyncio.wait_for(gone.wait(), 60)
    for last in (output.taken(), output.write([b"two"])):
        with pytest.raises(BrokenPipeError):
            await last
    os.close(writing)


async def test_a_socket_that_is_shut_for_the_other_direction_has_a_reader() -> None:
    """As a program has its end that only reads."""
    reading, writing = socket.socketpair()
    output, gone = LineOutput(writing.detach()), asyncio.Event()
    output.when_closed(gone.set)
    reading.shutdown(socket.SHUT_WR)
    await output.write([b"one"])
    assert reading.recv(10) == b"one\n"
    await output.taken()
    assert not gone.is_set()
    reading.close()
    await asyncio.wait_for(gone.wait(), 60)


@BOTH
async def test_a_reader_that_ends_while_it_is_waited_for_is_noticed(opened: Open) -> None:
    reading, writing = opened()
    output = LineOutput(writing)
    await output.write([b"x" * 200_000] * 2)
    write = asyncio.create_task(output.write([b"x" * 250_000] * 20))
    await asyncio.sleep(0)
    assert not write.done()
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        await asyncio.wait_for(write, 60)
    os.close(writing)


async def test_a_file_takes_lines_at_once(tmp_path: Path) -> None:
    with (tmp_path / "lines").open("wb") as file:
        output = LineOutput(file.fileno())
        output.when_closed(lambda: None)
        await output.write([b"one", b"two"])
        await output.taken()
    assert (tmp_path / "lines").read_bytes() == b"one\ntwo\n"


async def test_a_descriptor_that_does_not_block_takes_everything_all_the_same() -> None:
    terminal, end = os.openpty()
    os.set_blocking(end, False)
    output = LineOutput(end)
    found = bytearray()

    def read_all() -> None:
        while found.count(b"\n") < 300:
            found.extend(os.read(terminal, 1000))

    reader = Thread(target=read_all)
    reader.start()
    await output.write([b"x" * 100] * 300)
    await asyncio.to_thread(reader.join)
    assert found.replace(b"\r\n", b"\n") == (b"x" * 100 + b"\n") * 300
    os.close(end)
    os.close(terminal)
