"""`tidegate top`: what the live page shows, in a terminal, each second anew."""

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import click
import httpx

from app.cli.client import GateAddress, checked, gate_options
from app.cli.terminal import Part, screen, show
from app.cli.top.view import view

PERIOD_SECONDS: Final = 1.0
FIGURES: Final = "/page/figures"
LEAVE: Final = (b"q", b"Q", b"\x1b", b"\x03", b"\x04")
"""The keys that end it: q, Escape, and what Ctrl-C and Ctrl-D send where they are no signals."""


@click.command()
@gate_options
def top(gate: GateAddress) -> None:
    """Watch a gate: rates, maps, memory, feeds, consumers and cleanups, until q is pressed.

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
        lost = ""
        while True:
            draw(_parts(figures, lost))
            if _is_left(keys):
                return
            try:
                figures, lost = checked(client.get(FIGURES)), ""
            except (httpx.RequestError, click.ClickException) as error:
                lost = lost or f"No figures since {datetime.now(UTC):%H:%M:%S} UTC: {gate.unreachable(error)}"


def _parts(figures: dict[str, Any], lost: str) -> Iterator[Part]:
    if lost:
        yield f"fail {lost}"
    yield from view(figures, hint="q leaves")


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


def _is_left(keys: int | None) -> bool:
    """Wait for the next second, and tell whether a key was pressed that ends it."""
    until = time.monotonic() + PERIOD_SECONDS
    while (left := until - time.monotonic()) > 0:
        if keys is None:
            time.sleep(left)
        elif select.select([keys], [], [], left)[0] and os.read(keys, 1) in (*LEAVE, b""):
            return True
    return False
