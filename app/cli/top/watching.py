"""What `tidegate top` does each second, and when a key is pressed: watch, and clean up after a dry run."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import click
import httpx

from app.cli.cleanup import report_page
from app.cli.client import GateAddress, checked
from app.cli.terminal import Part
from app.cli.top.view import view

FIGURES: Final = "/page/figures"
LEAVE: Final = frozenset({b"q", b"Q", b"\x1b", b"\x03", b"\x04"})
"""The keys that end it: q, Escape, and what Ctrl-C and Ctrl-D send where they are no signals."""
CLEANUPS: Final = {b"c": "/cleanup", b"e": "/cleanup/emergency"}
REMOVE: Final = b"y"
HINT: Final = "q leaves, c cleans up, e in an emergency"


class Watching:
    """The figures that are shown, and a cleanup of which a dry run was made, until it is decided upon."""

    def __init__(self, gate: GateAddress, client: httpx.Client, figures: dict[str, Any]) -> None:
        self._gate, self._client, self._figures = gate, client, figures
        self._lost = ""
        self._told: list[Part] = []
        self._undecided: str | None = None

    def parts(self) -> Iterator[Part]:
        """Yield what is to be shown now."""
        if self._lost:
            yield f"fail {self._lost}"
        yield from self._told
        yield from view(self._figures, HINT)

    def refresh(self) -> None:
        """Read the figures anew; the last ones stay while the gate does not answer."""
        try:
            self._figures, self._lost = checked(self._client.get(FIGURES)), ""
        except (httpx.RequestError, click.ClickException) as error:
            since = f"No figures since {datetime.now(UTC):%H:%M:%S} UTC"
            self._lost = self._lost or f"{since}: {self._gate.unreachable(error)}"

    def press(self, key: bytes) -> None:
        """Do what a key stands for: a dry run, what was tried in one, or nothing of it."""
        path, self._undecided, self._told = self._undecided, None, []
        if key in CLEANUPS:
            self._undecided = CLEANUPS[key] if self._clean(CLEANUPS[key], is_dry=True) else None
        elif key == REMOVE and path is not None:
            self._clean(path, is_dry=False)

    def _clean(self, path: str, *, is_dry: bool) -> bool:
        """Run a cleanup and tell of it; return whether it was run."""
        try:
            answer = self._client.post(path, params={"dry_run": str(is_dry).lower()})
            self._told = [*report_page(checked(answer)), ""]
        except click.ClickException as error:
            self._told = [f"fail Not done: {error.message}", ""]
            return False
        except httpx.RequestError as error:
            self._told = [f"fail Whether it was done is unknown: {self._gate.unreachable(error)}", ""]
            return False
        if is_dry:
            self._told[-1:] = ["y removes this now, any other key does not", ""]
        return True
