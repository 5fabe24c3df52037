"""Several are asked for the same, and one answer is enough."""

import asyncio
from functools import partial

import pytest

from app.store.first_answer import first_answer
from app.store.shared_connection import NotConnected

DEADLINE_SECONDS = 10.0


class Asked:
    """What is asked, in its order; some answer, some fail, and others keep silent."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.cancelled: list[str] = []

    async def ask(self, name: str) -> str:
        """Do what the name says."""
        self.names.append(name)
        if name.startswith("silent"):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise
        if name.startswith("broken"):
            raise NotConnected(name)
        return name


async def _first(asked: Asked, *names: str, seconds: float = DEADLINE_SECONDS) -> str:
    return await first_answer([partial(asked.ask, name) for name in names], seconds)


async def test_while_the_first_answers_nobody_else_is_asked() -> None:
    asked = Asked()
    assert await _first(asked, "one", "two") == "one"
    assert asked.names == ["one"]


async def test_the_next_is_asked_when_one_fails_or_keeps_silent() -> None:
    asked = Asked()
    assert await _first(asked, "broken", "silent", "broken again", "silent too", "one", "two") == "one"
    assert asked.names == ["broken", "silent", "broken again", "silent too", "one"]
    await asyncio.sleep(0)
    assert sorted(asked.cancelled) == ["silent", "silent too"]


async def test_if_none_answers_what_the_last_one_did_is_raised() -> None:
    with pytest.raises(NotConnected, match="broken last"):
        await _first(Asked(), "broken first", "broken last")
    with pytest.raises(NotConnected, match="broken"):
        await _first(Asked(), "broken", "silent", seconds=0.1)
    with pytest.raises(TimeoutError):
        await _first(Asked(), "silent", seconds=0.1)
