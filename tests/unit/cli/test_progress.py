"""How far `tidegate send` is: shown on a terminal, and nowhere else."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stand_in import Answer, Request, StandIn, ingest
from tests.unit.cli.conftest import Run, Serve

LINES = b'{"signature":"a"}\n' * 100
DRAWN_SECONDS = 20.0

Terminal = tuple[int, int]
"""The end that shows what was written, and the end that a program writes to."""


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A terminal without a program."""
    screen, end = os.openpty()
    yield screen, end
    os.close(end)
    os.close(screen)


def _send(gate: StandIn, terminal: Terminal, *arguments: str, stdin: bytes = b"") -> None:
    """Run `send` with a terminal on stderr, 50 lines a request."""
    program = [sys.executable, "-c", "from app.cli.main import main; main()", "send", "--batch-lines", "50"]
    subprocess.run(
        [*program, "--url", gate.url, *arguments],
        input=stdin,
        stdout=subprocess.DEVNULL,
        stderr=terminal[1],
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
        timeout=3 * DRAWN_SECONDS,
        check=True,
    )


def _shown(terminal: Terminal, until: bytes = b"") -> bytes:
    """What was written since the last call; waits until this text is there."""
    shown = b""
    while not shown or until not in shown:
        is_ready, _, _ = select.select(terminal[:1], [], [], DRAWN_SECONDS)
        if not is_ready:
            break
        shown += os.read(terminal[0], 64 * 1024)
    return shown


def test_a_file_has_a_bar_that_ends_at_100_percent(serve: Serve, terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "feed.ndjson"
    file.write_bytes(LINES)
    _send(serve(ingest), terminal, str(file))
    shown = _shown(terminal, b"100 lines")
    assert b"sending" in shown
    assert b"100%" in shown
    assert b"100 lines" in shown


def test_a_pipe_without_known_end_has_a_count_of_lines_that_grows_while_it_is_sent(
    serve: Serve, terminal: Terminal
) -> None:
    shown: list[bytes] = []

    def answers_the_second_when_the_first_is_shown(request: Request) -> Answer:
        if len(gate.requests) > 1:
            shown.append(_shown(terminal, b"50 lines"))
        return ingest(request)

    gate = serve(answers_the_second_when_the_first_is_shown)
    _send(gate, terminal, "-", stdin=LINES)
    [between] = shown
    assert b"50 lines" in between
    assert b"100 lines" not in between
    after = _shown(terminal, b"100 lines")
    assert b"100 lines" in after
    assert b"%" not in between + after


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_without_a_terminal_nothing_is_shown(run: Run, serve: Serve, json: list[str]) -> None:
    assert run("send", "-", *json, gate=serve(ingest), stdin=LINES).stderr == ""
