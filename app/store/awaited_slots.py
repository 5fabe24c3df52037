"""Slots of a Cluster that serve nobody for a moment, and the calls that wait for them."""

import asyncio
from dataclasses import dataclass
from time import monotonic

TRY_AGAIN_SECONDS = 0.02
REFUSED_SECONDS = 0.1
SPELL_ENDS_SECONDS = 2.0  # without a refusal: a gate calls each partition once a second, at its tick


@dataclass
class _Spell:
    began: float
    refused: float


class AwaitedSlots:
    """Has the calls to a slot that refuses them wait for it, together no longer than a call may take.

    Say the deadline is 1 s. A slot with 80 keys is moved to another node within 0.3 s: the calls that come
    meanwhile are made again every 20 ms, and are answered when the slot has arrived. Another one takes a
    minute: those of the first second are given up at its end, later ones at once, so that they do not keep
    those to other slots waiting. Ten times a second some are let through, and the slot serves again when
    these are answered.
    """

    def __init__(self, deadline_seconds: float) -> None:
        """Wait so long for a slot."""
        self._deadline_seconds = deadline_seconds
        self._spells: dict[int, _Spell] = {}

    def is_given_up(self, slot: int) -> bool:
        """Say whether calls have been refused for longer than one may take, and the last one just now."""
        spell = self._spells.get(slot)
        if spell is None or monotonic() - spell.refused > REFUSED_SECONDS:
            return False
        return spell.refused - spell.began >= self._deadline_seconds

    async def may_try_again(self, slot: int) -> bool:
        """Note that a call was refused, and wait a little; False if that has gone on for too long."""
        now, spell = monotonic(), self._spells.get(slot)
        if spell is None or now - spell.refused > SPELL_ENDS_SECONDS:
            spell = self._spells[slot] = _Spell(now, now)
        spell.refused = now
        if now - spell.began >= self._deadline_seconds:
            return False
        await asyncio.sleep(TRY_AGAIN_SECONDS)
        return True
