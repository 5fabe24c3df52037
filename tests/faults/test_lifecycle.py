"""The embedded store lives and dies with its gate, whichever way that ends."""

import asyncio
import fcntl
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.store.embedded_store import EmbeddedStore
from tests.support.faulty_gates import running_in, store_processes
from tests.support.gate import (
    GateProcess,
    await_gate,
    gate_program,
    has_port,
    start_command,
    started,
)
from tests.support.processes import wait_until
from tests.support.wire import ask_once

SOON_SECONDS = 30.0
STOP_SECONDS = 60.0
BACK_SECONDS = 30.0
START_UP_SECONDS = 0.8
EARLY_KILLS = 3
TOGETHER = 4
LIMIT_BYTES = 16 << 20
ONE = {"signature": "one", "payload": 1}
SERVE_AND_BE_TOLD_TO_STOP_WHILE_THE_CODE_IS_LOADED = """
import os, signal, sys

class Loading:
    def find_spec(self, name, path=None, target=None):
        if name == "app.runtime":
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Loading())
from app.cli.main import main
sys.argv = ["tidegate", "serve"]
main()
"""

Stage = Callable[[Path], bool]


def directories(folder: Path) -> list[Path]:
    """Of embedded stores."""
    return list(folder.glob("tidegate-*"))


def _holds(name: str) -> Stage:
    return lambda folder: any((directory / name).exists() for directory in directories(folder))


STAGES: dict[str, Stage] = {
    "has its directory": lambda folder: bool(directories(folder)),
    "starts its store": _holds("store.log"),
    "has a store": _holds("store.sock"),
}


def _is_gone(folder: Path) -> bool:
    return wait_until(lambda: not running_in(folder), SOON_SECONDS)


def _reach(stage: str, folder: Path) -> None:
    assert wait_until(lambda: STAGES[stage](folder), SOON_SECONDS)


def _signal_and_wait(gate: GateProcess, number: signal.Signals) -> int:
    gate.process.send_signal(number)
    return gate.process.wait(STOP_SECONDS)


def test_kill_9_of_the_gate_takes_its_store_along(gate_folder: Path) -> None:
    with gate_program() as gate:
        [store] = store_processes(gate)
        gate.kill()
        assert wait_until(lambda: not store.is_running(), SOON_SECONDS)
    assert _is_gone(gate_folder)


@pytest.mark.parametrize("stage", STAGES)
def test_kill_9_of_a_gate_that_starts_leaves_no_store(gate_folder: Path, stage: str) -> None:
    with started() as gate:
        _reach(stage, gate_folder)
        gate.kill()
        assert _is_gone(gate_folder)


def test_kill_9_at_any_moment_of_the_start_leaves_no_store(gate_folder: Path) -> None:
    moments = random.Random(1)
    for _ in range(EARLY_KILLS):
        with started() as gate:
            time.sleep(moments.uniform(0, START_UP_SECONDS))
            gate.kill()
        assert _is_gone(gate_folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_gate_that_is_told_to_stop_exits_0_with_its_store_and_directory_gone(
    gate_folder: Path, number: signal.Signals
) -> None:
    with gate_program() as gate:
        assert directories(gate_folder)
        assert _signal_and_wait(gate, number) == 0
        assert directories(gate_folder) == []
        assert _is_gone(gate_folder)
        assert "Traceback" not in gate.log.read_text()


@pytest.mark.parametrize("stage", ["starts its store", "has a store"])
def test_a_gate_that_is_told_to_stop_while_it_starts_exits_0_and_leaves_nothing(
    gate_folder: Path, stage: str
) -> None:
    with started() as gate:
        _reach(stage, gate_folder)
        assert _signal_and_wait(gate, signal.SIGTERM) == 0, gate.log.read_text()
        assert directories(gate_folder) == []
        assert _is_gone(gate_folder)


def test_a_gate_that_is_told_to_stop_before_it_has_loaded_its_code_exits_0(tmp_path: Path) -> None:
    """It has to have a handler by then: pid 1 of a container is not ended by a signal without one."""
    command = (sys.executable, "-c", SERVE_AND_BE_TOLD_TO_STOP_WHILE_THE_CODE_IS_LOADED)
    gate = start_command(command, tmp_path, {})
    assert gate.process.wait(STOP_SECONDS) == 0
    assert gate.log.read_text() == ""


def test_a_gate_stops_in_time_although_its_store_hangs(gate_folder: Path) -> None:
    with gate_program() as gate:
        [store] = store_processes(gate)
        store.suspend()
        assert _signal_and_wait(gate, signal.SIGTERM) == 0
        assert directories(gate_folder) == []
        assert _is_gone(gate_folder)


def test_ctrl_c_pressed_again_and_again_leaves_no_store(gate_folder: Path) -> None:
    with gate_program() as gate:
        for _ in range(3):
            gate.process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        gate.process.wait(STOP_SECONDS)
        assert _is_gone(gate_folder)


async def test_a_store_killed_by_hand_is_started_again_by_its_gate(gate_folder: Path) -> None:
    with gate_program() as gate:
        assert (await ask_once(gate.url, "POST", "/transactions", ONE)).json()["status"] == "accepted"
        for _ in range(2):
            [store] = store_processes(gate)
            store.kill()
            async with asyncio.timeout(BACK_SECONDS):
                assert await _first_answer(gate) == "accepted", "the new store is empty"
            assert gate.is_ready()
            assert store.pid not in [process.pid for process in store_processes(gate)]
        assert len(directories(gate_folder)) == 1


async def _first_answer(gate: GateProcess) -> str:
    """What a post is answered once it is not refused any more."""
    while (reply := await ask_once(gate.url, "POST", "/transactions", ONE)).status == 503:
        reply.assert_try_again()
        await asyncio.sleep(0.02)
    return str(reply.json()["status"])


def test_the_embedded_store_does_not_hold_the_port_of_its_gate(gate_folder: Path) -> None:  # noqa: ARG001
    with gate_program() as gate:
        [store] = store_processes(gate)
        assert store.net_connections("tcp") == []


def test_the_directory_of_a_killed_gate_is_removed_by_the_next_one(gate_folder: Path) -> None:
    with gate_program() as gate:
        gate.kill()
    [stale] = directories(gate_folder)
    assert _is_gone(gate_folder)
    with gate_program():
        [directory] = directories(gate_folder)
        assert directory != stale


async def test_gates_with_embedded_stores_do_not_disturb_each_other(gate_folder: Path) -> None:
    with gate_program() as left:
        with gate_program() as right:
            assert len(directories(gate_folder)) == 2
            for gate in (left, right):
                reply = await ask_once(gate.url, "POST", "/transactions", ONE)
                assert reply.json()["status"] == "accepted", "each has a store of its own"
            assert right.terminate() == 0
        assert len(directories(gate_folder)) == 1
        reply = await ask_once(left.url, "POST", "/transactions", ONE)
        assert reply.json()["status"] == "duplicate"


def test_gates_started_at_the_same_moment_all_get_a_store(gate_folder: Path) -> None:
    with ExitStack() as stack:
        gates = [stack.enter_context(started()) for _ in range(TOGETHER)]
        for gate in gates:
            await_gate(gate)
            assert has_port(gate)
        assert len(directories(gate_folder)) == TOGETHER


async def test_a_directory_that_was_just_made_is_not_swept_by_another_gate(
    gate_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[EmbeddedStore] = []
    really_lock = fcntl.flock

    def lock_after_another_gate_started(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", really_lock)
        others.append(EmbeddedStore(LIMIT_BYTES))
        really_lock(descriptor, operation)

    monkeypatch.setattr(tempfile, "tempdir", str(gate_folder))
    monkeypatch.setattr(fcntl, "flock", lock_after_another_gate_started)
    store = EmbeddedStore(LIMIT_BYTES)
    try:
        assert others
        assert len(directories(gate_folder)) == 2
        await store.ensure_running()
        assert store.pid is not None
    finally:
        for each in (store, *others):
            await each.stop()
