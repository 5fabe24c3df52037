"""`tidegate top`: what the live page shows, in a terminal, each second anew."""

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from app.cli.client import GateAddress, checked, gate_options
from app.cli.terminal import screen, show
from app.cli.top.view import view
from app.cli.top.watching import FIGURES, LEAVE, Watching

PERIOD_SECONDS: Final = 1.0


@click.command()
@gate_options
def top(gate: GateAddress) -> None:
    """Watch a gate: rates, maps, memory, feeds, consumers and cleanups.

    The key q leaves. c makes a dry run of a cleanup and e of an emergency cleanup, and y then runs it.
    Without a terminal it prints once, after a second in which it measures the rates.
    """
    first = checked(gate.call("GET", FIGURES))
    if not _is_terminal():
        time.sleep(PERIOD_SECONDS)
        show(*view(checked(gate.call("GET", FIGURES))))
        return
    try:
        _watch(gate, first)
    except KeyboardInterrupt:
        return


def _is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def _watch(gate: GateAddress, figures: dict[str, Any]) -> None:
    with gate.open() as client, _keys() as keys, screen() as draw:
        watching, due = Watching(gate, client, figures), time.monotonic() + PERIOD_SECONDS
        while True:
            draw(watching.parts())
            key = _key(keys, due)
            if key in LEAVE or key == b"":
                return
            if key is None:
                watching.refresh()
                due = time.monotonic() + PERIOD_SECONDS
            else:
                watching.press(key)


@contextmanager
def _keys() -> Iterator[int | None]:
    """Read single keys while this lasts; what is given is where to read, None if stdin is no terminal."""
    if not sys.stdin.isatty():
        yield None
        return
    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    tty.setcbreak(stdin)
    try:
        yield stdin
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)


def _key(keys: int | None, until: float) -> bytes | None:
    """Wait for a key; None when none was pressed until then, and nothing when the terminal has gone."""
    left = max(0.0, until - time.monotonic())
    if keys is None:
        time.sleep(left)
        return None
    return os.read(keys, 1) if select.select([keys], [], [], left)[0] else None
