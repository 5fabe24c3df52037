"""Starts gates as forks of a process that has loaded the application, a tenth of the work of a new program.

A fork is `tidegate serve` with all that belongs to it: the entry point of the installed command, with its
arguments, environment, folder and output, its own sockets and its own store. It differs from a new program in
what the kernel tells of it (command line, environment and memory in /proc), in what an interpreter and the C
library read when they start, and in a few pipes that the fork server hands down. Tests of those start the
command itself.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import chdir
from pathlib import Path

from tests.support.surroundings import NO_CACHES

ROOT = Path(__file__).parents[2]

READ_AT_THE_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "GLIBC_")
"""What begins so is read when an interpreter starts, which is before a fork."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.support.loaded_gate"])


def _read_at_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    read = {name: value for name, value in environment.items() if name.startswith(READ_AT_THE_START)}
    read.pop(NO_CACHES, None)  # taken away before any test
    return read


_OF_THE_TESTS = _read_at_the_start(os.environ)


class ForkedGate:
    """A gate that was forked, with as much of the interface of `subprocess.Popen` as tests need."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        # A fork of a benchmark would import the benchmark, and its memory be that of another program.
        assert "PYTEST_CURRENT_TEST" in os.environ, "outside of tests it has to be started as a program"
        assert _read_at_the_start(environment) == _OF_THE_TESTS, "it has to be started as a program"
        self.args = command
        here = (list(command), str(Path.cwd()), str(log), dict(environment))
        # A daemon is ended together with the tests, should they leave it.
        self._process = _FORKS.Process(target=_run, args=here, daemon=True)
        with chdir(ROOT):  # where the fork server, should this start it, finds the modules that it loads
            self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code or, negative, the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code as `returncode` does."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return how it ended."""
        self._process.join(timeout)
        if (code := self.returncode) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _run(command: list[str], folder: str, log: str, environment: dict[str, str]) -> None:
    """Be the command; called in the fork."""
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = command
    from app.cli.main import main  # noqa: PLC0415  the process that runs the tests needs it not

    main()
