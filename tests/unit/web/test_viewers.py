"""Who looks at the live page: one reading for all, and none for nobody."""

import asyncio
from contextlib import ExitStack
from typing import Any

import pytest

from app.errors import ControlUnavailable, Overloaded
from app.web.viewers import MOST_VIEWERS, Viewers, event_of
from tests.support.live_figures import live_figures


class _Gate:
    """Counts how often its figures are read."""

    def __init__(self) -> None:
        self.readings = 0
        self.is_there = True

    async def read(self) -> dict[str, Any]:
        self.readings += 1
        if not self.is_there:
            raise ControlUnavailable("it is not there")
        return live_figures()


async def test_all_who_look_are_sent_one_reading() -> None:
    gate = _Gate()
    viewers = Viewers(gate.read)
    events = await asyncio.gather(*(viewers.next_event() for _ in range(20)))
    assert gate.readings == 1
    assert len(set(events)) == 1
    assert events[0].startswith(b'data: <div id="live"')
    assert events[0].endswith(b"</div>\n\n")


async def test_nothing_is_read_while_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.viewers.PERIOD_SECONDS", 0.01)
    gate = _Gate()
    viewers = Viewers(gate.read)
    await viewers.next_event()
    await viewers.next_event()
    await asyncio.sleep(0.2)
    assert gate.readings == 2


async def test_while_the_figures_cannot_be_read_an_event_says_nothing() -> None:
    gate = _Gate()
    gate.is_there = False
    assert await Viewers(gate.read).next_event() == b":\n\n"


async def test_there_are_so_many_places_and_no_more() -> None:
    viewers = Viewers(_Gate().read)
    with ExitStack() as places:
        for _ in range(MOST_VIEWERS):
            places.enter_context(viewers.take())
        with pytest.raises(Overloaded), viewers.take():
            pass
        assert viewers.count == MOST_VIEWERS
    assert viewers.count == 0


def test_each_line_of_a_text_is_one_of_the_event() -> None:
    assert event_of("<p>\n\n two\r\n</p>") == b"data: <p>\ndata:  two\ndata: </p>\n\n"
