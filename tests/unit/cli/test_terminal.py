"""What `stats`, `cleanup` and `report` print: the same text into every pipe, and what fits on a terminal."""

import fcntl
import os
import re
import struct
import subprocess
import termios

import pytest

from tests.support.gate import tidegate_command
from tests.support.report_documents import document
from tests.support.stand_in import Answer, StandIn
from tests.unit.cli.conftest import Run, Serve
from tests.unit.cli.test_answers import REPORT, STATS

PIPED_STATS = """\
Tidegate 1.2.3, up 12.0 s

map           entries      limit    bytes  retention  oldest  added  expired  emergency  manual  capacity
transactions    1,000  1,000,000  2.0 KiB    120.0 s       -  1,500      499          -       1         -

items    accepted 1,500, duplicate 7
memory   gate 50.0 MiB; limit 2.0 GiB (cgroup); level soft; leak detector: suspect
store    48.0 MiB of 64.0 MiB; the maps hold 1.0 MiB, and transactions may have -
cleanup  efficiency 99.5%, last was manual (normal) and removed 500
WARNING  transactions are above 80 %
"""
TURNED_STATS = """\
map        transactions
entries           1,000
limit         1,000,000
bytes           2.0 KiB
retention       120.0 s
"""
PIPED_CLEANUP = """\
map           before  removed  after
transactions   1,500      500  1,000
normal cleanup in 12.5 ms; released 2.0 MiB
"""
PIPED_PROCESSES = """\
process              first     last      min      max   MB/h  95 % interval  runs
gate host-a:8000   60.0 MB  61.0 MB  60.0 MB  65.0 MB  +0.25  +0.10 … +0.40     1  ██████████████   ████\
███████████
"""
STYLE = re.compile(r"\x1b\[[0-9;]*m")
COLOUR = re.compile(r"\x1b\[3[0-9]m")


def _piped(gate: StandIn, *arguments: str, **variables: str) -> str:
    return subprocess.run(
        [tidegate_command(), *arguments, "--url", gate.url],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=os.environ | variables,
    ).stdout


def _on_terminal(gate: StandIn, columns: int, *arguments: str, **variables: str) -> str:
    """What a command writes to a terminal of so many columns."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    terminal, end = os.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        subprocess.run(
            [tidegate_command(), *arguments, "--url", gate.url],
            stdin=subprocess.DEVNULL,
            stdout=end,
            timeout=60,
            check=True,
            env=inherited | {"TERM": "xterm-256color"} | variables,
        )
        return os.read(terminal, 64 * 1024).decode().replace("\r\n", "\n")
    finally:
        os.close(end)
        os.close(terminal)


@pytest.fixture
def stats(serve: Serve) -> StandIn:
    return serve(lambda _: Answer(200, STATS))


@pytest.mark.parametrize(
    "variables", [{}, {"COLUMNS": "20"}, {"FORCE_COLOR": "1", "TERM": "xterm"}, {"NO_COLOR": "1"}]
)
def test_a_pipe_gets_the_same_plain_text_whatever_the_terminal_around_it_is(
    stats: StandIn, variables: dict[str, str]
) -> None:
    assert _piped(stats, "stats", **variables) == PIPED_STATS


def test_every_table_is_the_same_text_in_a_pipe(run: Run, serve: Serve) -> None:
    assert run("cleanup", gate=serve(lambda _: Answer(200, REPORT))).stdout == PIPED_CLEANUP
    report = document().model_dump(mode="json")
    text = run("report", gate=serve(lambda _: Answer(200, report))).stdout
    assert PIPED_PROCESSES in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_a_wide_terminal_shows_the_same_words_with_colours(stats: StandIn) -> None:
    shown = _on_terminal(stats, 120, "stats")
    assert STYLE.sub("", shown) == PIPED_STATS
    assert "\x1b[33mWARNING\x1b[0m" in shown


def test_no_color_leaves_the_colours_out(stats: StandIn) -> None:
    assert COLOUR.search(_on_terminal(stats, 120, "stats")) is not None
    assert COLOUR.search(_on_terminal(stats, 120, "stats", NO_COLOR="1")) is None


def test_a_table_too_wide_for_the_terminal_is_turned_round(stats: StandIn) -> None:
    shown = STYLE.sub("", _on_terminal(stats, 80, "stats"))
    assert TURNED_STATS in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_sparkline_goes_first_when_the_terminal_is_narrow(serve: Serve) -> None:
    gate = serve(lambda _: Answer(200, document().model_dump(mode="json")))
    shown = STYLE.sub("", _on_terminal(gate, 90, "report"))
    row = "gate host-a:8000   60.0 MB  61.0 MB  60.0 MB  65.0 MB  +0.25  +0.10 … +0.40     1\n"
    assert row in shown
    assert max(map(len, shown.splitlines())) <= 90


def test_on_a_terminal_that_no_form_fits_every_figure_is_there_all_the_same(stats: StandIn) -> None:
    shown = STYLE.sub("", _on_terminal(stats, 20, "stats"))
    assert PIPED_STATS.splitlines()[3] in shown
