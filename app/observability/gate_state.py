"""What a gate does with transactions now, in a word, and why."""

from enum import StrEnum
from typing import NamedTuple


class GateState(StrEnum):
    """What the gate does with transactions now."""

    READY = "ready"
    REFUSING = "refusing"
    STORE_DOWN = "store-down"
    STOPPING = "stopping"


class GateReadiness(NamedTuple):
    """Whether a gate can take traffic."""

    state: GateState
    reasons: list[str]
    """The sentences that say why it takes none."""
    warnings: list[str]
    """What somebody should look at although it does."""
