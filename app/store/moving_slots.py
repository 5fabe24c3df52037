"""Slots that somebody moves from one node of a Cluster to another, key by key."""

import asyncio
from dataclasses import dataclass
from time import monotonic

from app.store.store_errors import StoreSlotMoving

TRY_AGAIN_SECONDS = 0.02
REFUSED_SECONDS = 0.1
SPELL_ENDS_SECONDS = 2.0  # without a refusal: a gate calls each partition once a second, at its tick


@dataclass
class _Spell:
    began: float
    refused: float


class MovingSlots:
    """Has the calls to a slot that is moved wait for it, together no longer than a call may take.

    Say the deadline is 1 s. A slot with 80 keys is moved within 0.3 s: the calls that come meanwhile are made
    again every 20 ms, and are answered when the slot has arrived. Another one takes a minute: those of the
    first second fail at its end, later ones at once, so that they do not keep those to other slots waiting.
    Ten times a second some are let through, and the slot serves again when these are answered.
    """

    def __init__(self, deadline_seconds: float) -> None:
        """Wait so long for a slot."""
        self._deadline_seconds = deadline_seconds
        self._spells: dict[int, _Spell] = {}

    def ensure_may_try(self, slot: int) -> None:
        """Let a call to a slot pass, unless one was refused just now and the slot is moved for long.

        Raises:
            StoreSlotMoving: it is not to be sent.
        """
        spell = self._spells.get(slot)
        if spell is None or monotonic() - spell.refused > REFUSED_SECONDS:
            return
        if spell.refused - spell.began >= self._deadline_seconds:
            raise StoreSlotMoving(f"slot {slot} is being moved, as it was {REFUSED_SECONDS:g} s ago")

    async def wait(self, slot: int, refusal: Exception) -> None:
        """Note that a call was refused, and wait until it may be made again.

        Raises:
            StoreSlotMoving: the slot is moved for longer than a call may take.
        """
        now, spell = monotonic(), self._spells.get(slot)
        if spell is None or now - spell.refused > SPELL_ENDS_SECONDS:
            spell = self._spells[slot] = _Spell(now, now)
        spell.refused = now
        if now - spell.began >= self._deadline_seconds:
            raise StoreSlotMoving(f"slot {slot} is being moved: {refusal}") from refusal
        await asyncio.sleep(TRY_AGAIN_SECONDS)
