"""Reads what gates, and proxies in front of them, answer; the commands of `tidegate` do so by it too."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS, MAX_RETRY_AFTER_SECONDS = 0.1, 10.0, 60.0
MOST_DOUBLINGS = 7


def json_object(answer: httpx.Response) -> dict[str, Any] | None:
    """Return the answer's JSON object, or None when it is something else."""
    try:
        document = answer.json()
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def retry_after(answer: httpx.Response) -> float:
    """Return the seconds that Retry-After (RFC 9110) asks for, at most a minute; 0 if it makes no sense."""
    value = answer.headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        wait = float(value)
    else:
        try:
            wait = (parsedate_to_datetime(value).astimezone(UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, OverflowError):
            return 0.0
    return min(max(wait, 0.0), MAX_RETRY_AFTER_SECONDS)


def wait_seconds(failures: int, at_least_seconds: float) -> float:
    """Return how long to wait after so many failures: at least this, and a random part of what doubles."""
    longest = min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(failures, MOST_DOUBLINGS))
    return at_least_seconds + random.uniform(0, longest)  # noqa: S311  not a secret


def without_password(url: str) -> str:
    """Return an address as it may be printed."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
