"""Structured logs: JSON lines, or colours on a terminal; the server's own loggers included."""

import logging
import os
import sys
from collections.abc import Mapping
from enum import Enum

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def configure_logs(log_format: str, level: str) -> None:
    """Send every log line to stderr in one format; `auto` is `console` on a terminal."""
    if log_format == "auto":
        log_format = "console" if sys.stderr.isatty() else "json"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # A plain traceback: the default one prints local variables, tokens among them.
    finish: list[Processor] = [
        _readable,
        structlog.dev.ConsoleRenderer(colors=_colours(), exception_formatter=structlog.dev.plain_traceback),
    ]
    if log_format == "json":
        finish = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # A line and its end in one write: workers write to the same file, also where PYTHONUNBUFFERED is set.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))


def _colours() -> bool:
    """Tell whether lines get colours: on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def _readable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Write for a terminal what Python would write as it stands in code: names, numbers by name, lists."""
    return {name: value if name == "exc_info" else _as_text(value) for name, value in event.items()}


def _as_text(value: object) -> object:
    """Return `signatures 10,003, transactions 5` for numbers by name; 3.5, 8000 and texts as they are."""
    match value:
        case Enum():
            return str(value.value)
        case Mapping():
            return ", ".join(f"{_as_text(name)} {_amount(one)}" for name, one in value.items()) or "-"
        case list() | tuple() | set() | frozenset():
            return ", ".join(str(_as_text(one)) for one in value) or "-"
    return value


def _amount(value: object) -> object:
    return f"{value:,}" if type(value) is int else _as_text(value)
