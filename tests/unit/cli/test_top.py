"""`tidegate top`: once into a pipe, each second anew on a terminal, until a key is pressed."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator

import pytest

from tests.support.gate import tidegate_command
from tests.support.live_figures import live_figures
from tests.support.stand_in import Answer, Request, StandIn
from tests.unit.cli.conftest import Run, Serve

SECONDS = 30.0
CHANGE = {"before": 9876, "removed": 5432, "after": 4444}
PIPED = """\
Tidegate 1.2.3   ready   up 2 h 5 min, at 00:53:21 UTC

transactions  a second  share  since start
accepted           100               1,500                  ▅              █
duplicate          200  66.7%        3,000                  ▅              █
not taken          0.5                   6                  ▁              █

map           entries      limit    bytes  retention  oldest  added  expired  emergency  manual  capacity
signatures      1,000  1,000,000  2.0 KiB    120.0 s  60.0 s  1,500      500          0       0         0
transactions    1,000  1,000,000  2.0 KiB    120.0 s  60.0 s  1,500      500          0       0         0
observations    1,000  1,000,000  2.0 KiB    120.0 s  60.0 s  1,500      500          0       0         0

process  resident   growth  an hour  leak
gate     50.0 MiB  1.0 KiB      0 B    ok                                 █

feed      a second  first  p50 behind      p95  late  missed  last seen
helius-a       150  90.0%     12.5 ms  30.0 ms     -   25.0%   00:53:20

consumer  behind by  behind  leases  delivered  again  missed  last call
bot              20   1.5 s       1      1,480      0       7   00:53:20

cleanup   asked for by                mode  signatures  transactions  observations     took
00:53:20        manual  emergency, dry run           -           500             -  12.5 ms
"""


@pytest.fixture
def gate(serve: Serve) -> StandIn:
    """A gate that accepts one more with each request."""
    asked = iter(range(1500, 10_000))

    def respond(request: Request) -> Answer:
        if request.method == "POST":
            is_dry = "dry_run=true" in request.path
            return Answer(200, {"mode": "normal", "dry_run": is_dry, "maps": {"transactions": CHANGE}})
        figures = live_figures()
        figures["stats"]["ingest"]["accepted"] = next(asked)
        return Answer(200, figures)

    return serve(respond)


class _Terminal:
    """`tidegate top` on a terminal of 120 by 50."""

    def __init__(self, gate: StandIn) -> None:
        self._screen, end = os.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
        self.process = subprocess.Popen(
            [tidegate_command(), "top", "--url", gate.url],
            stdin=end,
            stdout=end,
            stderr=end,
            env=os.environ | {"TERM": "xterm-256color"},
        )
        os.close(end)
        self.shown = ""

    def wait(self, text: str) -> None:
        """Wait until this text was written."""
        while text not in self.shown:
            assert select.select([self._screen], [], [], SECONDS)[0], self.shown
            self.shown += os.read(self._screen, 64 * 1024).decode(errors="replace")

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._screen, key)

    def exit_code(self) -> int:
        """Read until it ends: a terminal holds some 8 KiB, and who writes more waits until that is read."""
        while True:
            assert select.select([self._screen], [], [], SECONDS)[0], self.shown
            try:
                self.shown += os.read(self._screen, 64 * 1024).decode(errors="replace")
            except OSError:  # EIO: the last one that had this terminal open has gone
                return self.process.wait(SECONDS)

    def close(self) -> None:
        """End it, however it is."""
        self.process.kill()
        self.process.wait()
        os.close(self._screen)


@pytest.fixture
def terminal(gate: StandIn) -> Iterator[_Terminal]:
    """The command on a terminal."""
    started = _Terminal(gate)
    yield started
    started.close()


def test_without_a_terminal_it_prints_once_and_ends(serve: Serve, run: Run) -> None:
    result = run("top", gate=serve(lambda _: Answer(200, live_figures())))
    assert (result.exit_code, result.output) == (0, PIPED)


def test_in_trouble_it_says_why(serve: Serve, run: Run) -> None:
    figures = live_figures(state="store-down", reasons=["the store is down"], warnings=["look\x1b[2J here"])
    output = run("top", gate=serve(lambda _: Answer(200, figures))).output
    assert " store down " in output.splitlines()[0]
    assert "fail the store is down" in output
    assert "WARNING look\ufffd[2J here" in output


def test_figures_that_are_missing_are_dashes(serve: Serve, run: Run) -> None:
    result = run("top", gate=serve(lambda _: Answer(200, {})))
    assert result.exit_code == 0
    assert result.output.startswith("Tidegate -   unknown   up -, at - UTC")


def test_no_gate_is_exit_3(run: Run) -> None:
    result = run("top", "--url", "http://127.0.0.1:9")
    assert (result.exit_code, "no gate answers" in result.output) == (3, True)


def test_a_gate_that_is_older_is_exit_1_and_said(serve: Serve, run: Run) -> None:
    result = run("top", gate=serve(lambda _: Answer(404, {"title": "There is nothing here"})))
    assert (result.exit_code, "There is nothing here" in result.output) == (1, True)


@pytest.mark.parametrize("key", [b"q", b"\x1b", b"\x04"])
def test_on_a_terminal_it_goes_on_until_a_key_is_pressed(terminal: _Terminal, key: bytes) -> None:
    terminal.wait("1,500")
    terminal.wait("1,502")
    terminal.press(b"x")  # any other key changes nothing
    terminal.wait("1,503")
    terminal.press(key)
    assert terminal.exit_code() == 0
    assert "\x1b[?1049l" in terminal.shown, "the screen is given back"


def test_ctrl_c_is_a_way_to_leave(terminal: _Terminal) -> None:
    terminal.wait("1,501")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.exit_code() == 0
    assert "\x1b[?1049l" in terminal.shown


def test_a_gate_that_has_gone_is_said_and_its_last_figures_stay(gate: StandIn, terminal: _Terminal) -> None:
    terminal.wait("1,500")
    gate.respond = lambda _: Answer(0, None)
    terminal.wait("No figures since")
    before = len(terminal.shown)
    terminal.wait("q leaves")
    terminal.shown = terminal.shown[before:]
    terminal.wait("helius-a")


def _posted(gate: StandIn) -> list[str]:
    return [request.path for request in gate.requests if request.method == "POST"]


@pytest.mark.parametrize(("key", "path"), [(b"c", "/cleanup"), (b"e", "/cleanup/emergency")])
def test_a_cleanup_is_tried_first_and_then_done(
    gate: StandIn, terminal: _Terminal, key: bytes, path: str
) -> None:
    terminal.wait("1,500")
    terminal.press(key)
    terminal.wait("5,432")
    terminal.wait("y removes this now")
    assert _posted(gate) == [f"{path}?dry_run=true"]
    terminal.press(b"y")
    terminal.wait("released")
    assert _posted(gate) == [f"{path}?dry_run=true", f"{path}?dry_run=false"]


def test_any_other_key_leaves_a_cleanup_undone(gate: StandIn, terminal: _Terminal) -> None:
    terminal.wait("1,500")
    terminal.press(b"e")
    terminal.wait("y removes this now")
    terminal.press(b"n")
    terminal.press(b"y")
    terminal.shown = ""
    terminal.wait("1,50")
    terminal.press(b"q")
    assert terminal.exit_code() == 0
    assert _posted(gate) == ["/cleanup/emergency?dry_run=true"]


def test_a_cleanup_that_is_refused_says_why(gate: StandIn, terminal: _Terminal) -> None:
    terminal.wait("1,500")
    answer = gate.respond
    unauthorized = Answer(401, {"title": "No valid token", "detail": "send one"})
    gate.respond = lambda request: unauthorized if request.method == "POST" else answer(request)
    terminal.press(b"c")
    terminal.wait("Not done: No valid token: send one. Set TIDEGATE_TOKEN")
