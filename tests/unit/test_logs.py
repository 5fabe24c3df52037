"""Lines of the log stay whole although several processes write to one file, and can be read."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import structlog

from app.logs import configure_logs
from app.models import MapName, Trigger


class _Unbuffered(io.StringIO):
    """Standard error as PYTHONUNBUFFERED makes it: what is written goes out at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return len(text)


Written = Callable[[str], AbstractContextManager[list[str]]]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """Have the log written in a format while a block runs, and collect what is written."""

    @contextmanager
    def collect(log_format: str) -> Iterator[list[str]]:
        stream, root = _Unbuffered(), logging.getLogger()
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(root, "handlers", root.handlers)
        monkeypatch.setattr(root, "level", root.level)
        configure_logs(log_format, "info")
        yield stream.written

    yield collect
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_line_goes_out_in_one_write(written: Written, log_format: str) -> None:
    with written(log_format) as texts:
        structlog.get_logger().info("ours", number=1)
        logging.getLogger("another").warning("a library's")
    assert [text.endswith("\n") for text in texts] == [True, True]


def test_values_on_a_terminal_are_written_as_people_write_them(written: Written) -> None:
    removed = {MapName.SIGNATURES: 10003, MapName.TRANSACTIONS: 0}
    with written("console") as texts:
        structlog.get_logger().info(
            "cleanup", trigger=Trigger.PERIODIC, removed=removed, names=["a", "b"], none=[], port=8000
        )
    line = texts[0]
    assert "\x1b" not in line, "colours are for terminals alone"
    assert "removed='signatures 10,003, transactions 0'" in line
    assert "trigger=periodic" in line
    assert "names='a, b'" in line
    assert "none=-" in line
    assert "port=8000" in line


@pytest.mark.parametrize(("no_color", "colours"), [("", True), ("1", False)])
def test_colours_are_for_terminals_that_want_them(
    written: Written, monkeypatch: pytest.MonkeyPatch, no_color: str, colours: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(_Unbuffered, "isatty", lambda _: True)
    with written("console") as texts:
        structlog.get_logger().info("ours")
    assert ("\x1b" in texts[0]) is colours


def test_a_failure_is_written_with_its_traceback(written: Written) -> None:
    with written("console") as texts:
        try:
            int("wrong")
        except ValueError:
            logging.getLogger("another").exception("a library's")
    assert "ValueError: invalid literal" in "".join(texts)


def test_values_in_json_are_numbers_and_names(written: Written) -> None:
    with written("json") as texts:
        structlog.get_logger().info("cleanup", trigger=Trigger.PERIODIC, removed={MapName.SIGNATURES: 10003})
    line = json.loads(texts[0])
    assert (line["trigger"], line["removed"]) == ("periodic", {"signatures": 10003})
