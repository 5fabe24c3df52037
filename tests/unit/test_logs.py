"""Lines of the log stay whole although several processes write them to one file."""

import io
import logging
import sys

import pytest
import structlog

from app.logs import configure_logs


class _Unbuffered(io.StringIO):
    """Standard error as PYTHONUNBUFFERED makes it: what is written goes out at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return len(text)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_line_goes_out_in_one_write(monkeypatch: pytest.MonkeyPatch, log_format: str) -> None:
    stream, root = _Unbuffered(), logging.getLogger()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(root, "handlers", root.handlers)
    monkeypatch.setattr(root, "level", root.level)
    try:
        configure_logs(log_format, "info")
        structlog.get_logger().info("ours", number=1)
        logging.getLogger("another").warning("a library's")
    finally:
        structlog.reset_defaults()
    assert [text.endswith("\n") for text in stream.written] == [True, True]
