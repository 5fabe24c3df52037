"""What a store may refuse while the gate goes on: its figures, and what only readers and reports need."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from app.errors import StoreDenied, StoreError, StoreRejected, StoreUnsupported
from app.store.server_identity import parse_info
from app.store.store_errors import facts_of

log = structlog.get_logger()

NO_FIGURES = "the store's figures cannot be read"
REFUSALS_OF_INFO = (StoreDenied, StoreUnsupported, StoreRejected)
"""Errors by which `INFO` counts as refused: managed services may do so in words of their own."""


class SparedRefusals:
    """Which refusals the gate goes on with. Each is told once; those of `INFO` stand in `figures`."""

    def __init__(self) -> None:
        self._told = set[str]()
        self.figures: Mapping[str, StoreError] = {}
        """Why `INFO` could not be read last, by the master's host and port, or by "" of the whole store."""

    def note(self, lost: str | None, error: StoreError) -> bool:
        """Say whether the gate goes on although a call has failed, without what is `lost` then.

        It does if that was refused, which is logged once; of figures there is a warning (warnings.py).
        """
        if lost == NO_FIGURES and isinstance(error, REFUSALS_OF_INFO):
            self.figures = {"": error}
            return True
        if lost is None or not isinstance(error, StoreDenied | StoreUnsupported):
            return False
        if lost not in self._told:
            self._told.add(lost)
            log.warning(lost, **facts_of(error))
        return True

    def read_info(self, answers: Mapping[str, Any], sections: Sequence[str]) -> list[dict[str, Any]]:
        """Read what each master has answered to `INFO`, and note which refused it.

        In `answers` they are by the host and port of each, with a StoreError for an answer where it failed.

        Raises:
            StoreUnsupported: an answer is not what it has to be.
        """
        found = [parse_info(one, *sections) for one in answers.values() if not isinstance(one, StoreError)]
        self.figures = {place: one for place, one in answers.items() if isinstance(one, REFUSALS_OF_INFO)}
        return found
