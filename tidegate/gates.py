"""The gates that a client may ask: which one is next, and how long it waits when one fails."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence

import httpx

FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS, MAX_RETRY_AFTER_SECONDS = 0.1, 10.0, 60.0
MOST_DOUBLINGS = 7

logger = logging.getLogger("tidegate")


class GateError(Exception):
    """Raised when a client cannot go on: `Unreachable` or `Refused`."""


class Unreachable(GateError):
    """Raised when none of the gates has ever answered."""

    def __init__(self, url: str, reason: Exception) -> None:
        super().__init__(f"no gate answers at {shown(url)}: {reason or type(reason).__name__}")
        self.reason = reason


class Refused(GateError):
    """Raised when a gate's answer says that the call is wrong; `name` is that of the problem.

    The names are in docs/errors.md.
    """

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.name = problem_name(answer)
        super().__init__(f"{answer.status_code} {self.name}: {_detail(answer)}")


class Gates:
    """Knows the addresses of the gates of one store, any of which can go on where another one stopped."""

    def __init__(
        self, urls: Sequence[str], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        if not urls:
            raise ValueError("a client needs the address of a gate")
        self._urls = [url.rstrip("/") for url in urls]
        self._sleep = sleep
        self._at = self._failures = 0
        self._is_reached = False

    @property
    def url(self) -> str:
        """The address of the gate to ask now."""
        return self._urls[self._at]

    def answered(self) -> None:
        """Note that the gate answered, so that the next failure is the first one again."""
        if self._failures:
            logger.warning("%s answers", shown(self.url))
        self._failures = 0
        self.reached()

    def reached(self) -> None:
        """Note that there is a gate, though it may not have answered in full: it may be waited for."""
        self._is_reached = True

    async def lost(self, reason: Exception) -> None:
        """Turn to the next gate because this one gave no answer, or not all of it.

        Raises:
            Unreachable: no gate has ever answered, and each was tried.
        """
        if not self._is_reached and self._failures + 1 >= len(self._urls):
            raise Unreachable(self.url, reason) from reason
        await self.failed(str(reason) or type(reason).__name__)

    async def busy(self, answer: httpx.Response) -> None:
        """Turn to the next gate because this one asks to come again later, and wait no less than it says."""
        self.reached()
        seconds = answer.headers.get("retry-after", "")
        wait = float(seconds) if seconds.isascii() and seconds.isdigit() else 0.0
        reason = f"{answer.status_code} {problem_name(answer)}".rstrip()
        await self.failed(reason, min(wait, MAX_RETRY_AFTER_SECONDS))

    async def failed(self, reason: str, retry_after: float = 0.0) -> None:
        """Turn to the next gate: at once if it has not failed since one answered, else after a wait.

        The wait is a random part of one that doubles up to ten seconds.
        """
        failed = self.url
        self._at = (self._at + 1) % len(self._urls)
        if not self._failures:
            logger.warning("%s: %s; trying %s again until it answers", shown(failed), reason, shown(self.url))
        self._failures += 1
        rounds, rest = divmod(self._failures, len(self._urls))
        if not rest:
            longest = min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(rounds, MOST_DOUBLINGS))
            await self._sleep(retry_after + random.uniform(0, longest))  # noqa: S311  not a secret


def problem_name(answer: httpx.Response) -> str:
    """Return the name of the problem that an answer tells, such as `unknown-cursor`."""
    return str(_problem(answer).get("type", "")).rpartition(":")[2]


def shown(url: str) -> str:
    """Return an address as it may be logged, without a password."""
    return str(httpx.URL(url).copy_with(userinfo=b""))


def _detail(answer: httpx.Response) -> str:
    return str(_problem(answer).get("detail") or "the answer is no problem document; is this a Tidegate?")


def _problem(answer: httpx.Response) -> dict[str, object]:
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
