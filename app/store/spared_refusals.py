"""What a store may refuse while the gate goes on: its figures, and what only readers and reports need."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from app.errors import StoreDenied, StoreError, StoreRejected, StoreUnsupported
from app.store.server_identity import parse_info
from app.store.store_errors import facts_of

log = structlog.get_logger()

NO_FIGURES = "the store's figures cannot be read"


class SparedRefusals:
    """Which refusals the gate goes on with. Each is told once; those of `INFO` stand in `figures`."""

    def __init__(self) -> None:
        self._told = set[str]()
        self.figures: Mapping[str, StoreError] = {}
        """Why `INFO` could not be read last, by the master's host and port, or by "" of the whole store."""

    def note(self, lost: str, error: StoreError) -> None:
        """Note what is lost by a refusal, and log it once; figures that are missing have a warning."""
        if lost == NO_FIGURES:
            self.figures = {"": error}
        elif lost not in self._told:
            self._told.add(lost)
            log.warning(lost, **facts_of(error))

    def read_info(self, answers: Mapping[str, Any], sections: Sequence[str]) -> list[dict[str, Any]]:
        """Read what each master has answered to `INFO`, and note which refused it.

        In `answers` they are by the host and port of each, with a StoreError for an answer where it failed.

        Raises:
            StoreUnsupported: an answer is not what it has to be.
        """
        refusals = (StoreDenied, StoreUnsupported, StoreRejected)
        found = [parse_info(one, *sections) for one in answers.values() if not isinstance(one, StoreError)]
        self.figures = {place: one for place, one in answers.items() if isinstance(one, refusals)}
        return found
