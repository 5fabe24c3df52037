"""Start, watch and end store processes that never outlive the tests."""

import ctypes
import fcntl
import functools
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

POLL_SECONDS = 0.005
START_SECONDS = 60.0
STOP_SECONDS = 5.0

# A connection that tells its library's version looks that up among all installed packages, each time.
UNNAMED: dict[str, Any] = {"driver_info": None}

_handed_out: set[int] = set()

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class StoreStartError(RuntimeError):
    """A store did not come up; the message ends with the tail of its log."""


@dataclass(frozen=True)
class Launch:
    """Everything needed to start one store process, again and again, at one address."""

    url: str
    command: tuple[str, ...]
    folder: Path

    @property
    def log(self) -> Path:
        """The file that collects the output of every start."""
        return self.folder / "store.log"

    def connect(self, **options: Any) -> redis.Redis:
        """Open a client for this one process; `options` go to redis-py's `from_url`."""
        client = redis.Redis.from_url(self.url, **UNNAMED | options)
        close_before_collected(client, client.connection_pool.disconnect)
        return client

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process without waiting for it to answer."""
        self.folder.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=functools.partial(die_with, os.getpid()),  # noqa: PLW1509  from the main thread only
            )


def close_before_collected(client: object, close: Callable[[], object]) -> None:
    """Have a client of a test closed before the collector comes upon its sockets.

    A client in a cycle, as the frames of a caught error make one, ends together with its sockets, and in no
    order: a socket that ends first warns that it is open, which fails the test that runs at that moment.
    """
    weakref.finalize(client, close)


def die_with(parent: int) -> None:
    """Run in the child before exec: ask Linux to kill it once the starting thread ends."""
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def start_all(launches: Sequence[Launch]) -> list[subprocess.Popen[bytes]]:
    """Start every process and wait for all; if one fails, leave none behind."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        processes.extend(launch.spawn() for launch in launches)
        for launch, process in zip(launches, processes, strict=True):
            _wait_ready(launch, process)
    except BaseException:
        kill_all(processes)
        raise
    return processes


def _wait_ready(launch: Launch, process: subprocess.Popen[bytes]) -> None:
    def settled() -> bool:
        return process.poll() is not None or _answers(launch, process.pid)

    answered = wait_until(settled, START_SECONDS)
    if not answered or process.returncode is not None:
        why = f"exited with {process.returncode}" if answered else "never answered"
        tail = launch.log.read_text(errors="replace")[-2000:]
        raise StoreStartError(f"{launch.command[0]} {why}; its log ends:\n{tail}")


def _answers(launch: Launch, pid: int) -> bool:
    """Tell if the address is served by process `pid` itself, not by a stranger on its port."""
    once = Retry(NoBackoff(), 0)
    with launch.connect(socket_timeout=1, socket_connect_timeout=1, retry=once) as client:
        try:
            return bool(client.info("server")["process_id"] == pid)
        except (redis.ConnectionError, redis.TimeoutError):
            return False


def wait_until(done: Callable[[], bool], seconds: float, pause_seconds: float = POLL_SECONDS) -> bool:
    """Poll `done` every few milliseconds; False if it stayed false for `seconds`.

    Between two looks that cost time, such as scrapes, it pauses twice as long as they take: what it waits
    for needs the processor itself.
    """
    began = time.monotonic()
    deadline = began + seconds
    while not done():
        now = time.monotonic()
        if now > deadline:
            return False
        time.sleep(max(pause_seconds, 2 * (now - began)))
        began = time.monotonic()
    return True


def stop_all(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """Terminate all, paused ones too, and kill what is still there after 5 s."""
    running = list(processes)
    for process in running:
        process.terminate()
        process.send_signal(signal.SIGCONT)
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            kill_all([process])


def kill_all(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """SIGKILL all, then reap them."""
    running = list(processes)
    for process in running:
        process.kill()
    for process in running:
        process.wait()


def pause_all(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """SIGSTOP all; on return each one really stands still."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


def resume_all(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """SIGCONT all."""
    for process in processes:
        process.send_signal(signal.SIGCONT)


def free_port() -> int:
    """Find a free port on 127.0.0.1 below the range outgoing connections are given.

    A port from that range could be taken by any client while its store is down for a
    restart, even by a client trying to reconnect to that very port. No port is handed out
    twice while this process lives, to no process of tests on this machine: so nobody has it
    before its store listens, and a stopped store always finds its own free again.
    """
    for _ in range(1_000):
        port = random.randint(15_000, 32_000)
        if port not in _handed_out and _is_nobodys(port) and _is_free(port):
            _handed_out.add(port)
            return port
    raise StoreStartError("no free port found on 127.0.0.1")


@functools.cache
def _ports_of_all() -> int:
    """Open the file of which each process locks the bytes of its ports; what ends has its locks ended."""
    path = Path(tempfile.gettempdir(), f"tidegate-tests-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_nobodys(port: int) -> bool:
    try:
        fcntl.lockf(_ports_of_all(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
