"""How far `tidegate send` is: shown on a terminal, and nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stand_in import StandIn, ingest
from tests.unit.cli.conftest import Run, Serve

LINES = b'{"signature":"a"}\n' * 100


def _shown(gate: StandIn, *arguments: str, stdin: bytes = b"") -> str:
    """What `send` writes to a terminal on stderr."""
    program = [sys.executable, "-c", "from app.cli.main import main; main()", "send", "--batch-lines", "50"]
    terminal, end = os.openpty()
    try:
        subprocess.run(
            [*program, "--url", gate.url, *arguments],
            input=stdin,
            stdout=subprocess.DEVNULL,
            stderr=end,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
            timeout=30,
            check=True,
        )
        return os.read(terminal, 64 * 1024).decode()
    finally:
        os.close(end)
        os.close(terminal)


def test_a_file_has_a_bar_that_ends_at_100_percent(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "feed.ndjson"
    file.write_bytes(LINES)
    shown = _shown(serve(ingest), str(file))
    assert "sending" in shown
    assert "100%" in shown
    assert "100 lines" in shown


def test_a_pipe_without_known_end_has_a_count_of_lines(serve: Serve) -> None:
    shown = _shown(serve(ingest), "-", stdin=LINES)
    assert shown.index("0 lines") < shown.index("100 lines")
    assert "%" not in shown


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_without_a_terminal_nothing_is_shown(run: Run, serve: Serve, json: list[str]) -> None:
    assert run("send", "-", *json, gate=serve(ingest), stdin=LINES).stderr == ""
