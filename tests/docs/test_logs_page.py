"""The page of log events knows every line the gate writes, in whatever way the code writes it."""

import re
from functools import cache

import pytest

from app.store.scripts import LOST_WITHOUT
from tests.support.log_events import Use, uses
from tests.support.pages import ROOT

PAGE = ROOT / "docs" / "logs.md"
# Events that the code is given, by file and as it writes them, with what they can be.
GIVEN = {
    ("app/store/spared_refusals.py", "lost"): frozenset(LOST_WITHOUT.values()),
    # The sentence of a warning; its names are on the page (tests/unit/observability/test_warnings.py).
    ("app/observability/warnings.py", "now[key]"): frozenset[str](),
}


@cache
def read() -> list[Use]:
    """Every use of a logger in the gate."""
    files = sorted((ROOT / "app").rglob("*.py"))
    return uses({str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in files})


def events_of(use: Use) -> frozenset[str]:
    return use.events if use.events is not None else GIVEN[use.file, use.source]


def told() -> set[str]:
    return set(re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_event_of_every_line_can_be_read() -> None:
    unread = [use for use in read() if use.events is None]
    assert {(use.file, use.source) for use in unread} == GIVEN.keys(), unread


def test_every_event_is_on_the_page() -> None:
    written = {(event, use.file) for use in read() if not use.is_silent for event in events_of(use)}
    assert ("cleanup failed", "app/cleanup/run.py") in written
    assert [(event, file) for event, file in sorted(written) if event not in told()] == []


def test_every_event_on_the_page_is_one_of_the_code() -> None:
    names = set(re.findall(r"`([a-z_]+)`", PAGE.read_text(encoding="utf-8").partition("The names:")[2]))
    assert told() - {event for use in read() for event in events_of(use)} - names == set()


LOGGER = "import structlog\nlog = structlog.get_logger()\n"


@pytest.mark.parametrize(
    "lines",
    [
        "log.info('found')",
        "log.info('found' if known else 'lost')",
        "log.log(level, 'found')",
        "await log.ainfo('found')",
        "log.bind(store=1).info('found')",
        "bound = log.bind(store=1)\nbound.error('found')",
        "def init(self):\n    self._log = log.bind(store=1)\ndef fail(self):\n    self._log.error('found')",
        "structlog.get_logger().info('found')",
        "(log.debug if usual else log.info)('found')",
        "def f():\n    write = log.info if known else log.warning if lost else log.error\n    write('found')",
        "def f():\n    event = 'lost'\n    if known:\n        event = 'found'\n    log.info(event)",
        "FOUND = 'found'\ndef f():\n    log.info(FOUND)",
        "EVENTS = {1: 'lost', 2: 'found'}\ndef f(number):\n    log.info(EVENTS[number])",
        "from app.names import FOUND\ndef f():\n    log.info(FOUND)",
        "import logging\nlogging.getLogger('x').warning('found')",
        "import logging\nlogging.warning('found')",
    ],
)
def test_an_event_is_read_in_whatever_way_it_is_written(lines: str) -> None:
    found = uses({"app/one.py": LOGGER + lines, "app/names.py": "FOUND = 'found'"})
    assert found != []
    assert all(use.events is not None for use in found)
    assert "found" in {event for use in found for event in use.events or ()}


@pytest.mark.parametrize(
    "lines",
    [
        "log.info(f'found {number}')",
        "log.info('found ' + name)",
        "log.info(event='found')",
        "def f(event):\n    log.info(event)",
        "for event in ('found', 'lost'):\n    log.info(event)",
        "EVENTS = {1: name}\nlog.info(EVENTS[1])",
        "getattr(log, level)('found')",
        "partial(log.info, 'found')",
        "{'info': log.info}['info']('found')",
        "(log.info if known else print)('found')",
        "def f():\n    write = log.info\n    return write",
        "self._write = log.info",
        "tell(log)",
        "return_it = [log]",
        "from app.names import log as other",
        "log.sometimes('found')",
    ],
)
def test_a_line_whose_event_cannot_be_read_is_noticed(lines: str) -> None:
    found = uses({"app/one.py": LOGGER + lines, "app/names.py": LOGGER})
    assert any(use.events is None for use in found)


def test_only_what_is_always_written_at_debug_needs_no_row() -> None:
    lines = "log.debug('a')\n(log.debug if usual else log.info)('b')"
    assert [use.is_silent for use in uses({"app/one.py": LOGGER + lines})] == [True, False]
