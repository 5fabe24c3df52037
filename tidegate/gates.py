"""The gates that a client may ask: which one is next, and how long it waits when one fails."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import httpx

from tidegate.answers import json_object, retry_after, wait_seconds, without_password

logger = logging.getLogger("tidegate")


class GateError(Exception):
    """Raised when a client cannot go on: `Unreachable` or `Refused`."""


class Unreachable(GateError):
    """Raised when none of the gates has ever answered."""

    def __init__(self, url: str, reason: Exception) -> None:
        super().__init__(f"no gate answers at {without_password(url)}: {reason or type(reason).__name__}")
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
            logger.warning("%s answers", without_password(self.url))
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
        reason = f"{answer.status_code} {problem_name(answer)}".rstrip()
        await self.failed(reason, retry_after(answer))

    async def failed(self, reason: str, at_least_seconds: float = 0.0) -> None:
        """Turn to the next gate: at once if it has not failed since one answered, else after a wait.

        The wait is a random part of one that doubles up to ten seconds.
        """
        failed = self.url
        self._at = (self._at + 1) % len(self._urls)
        if not self._failures:
            logger.warning(
                "%s: %s; trying %s again until it answers",
                without_password(failed),
                reason,
                without_password(self.url),
            )
        self._failures += 1
        rounds, rest = divmod(self._failures, len(self._urls))
        if not rest:
            await self._sleep(wait_seconds(rounds, at_least_seconds))


def problem_name(answer: httpx.Response) -> str:
    """Return the name of the problem that an answer tells, such as `unknown-cursor`."""
    return str((json_object(answer) or {}).get("type", "")).rpartition(":")[2]


def _detail(answer: httpx.Response) -> str:
    problem = json_object(answer) or {}
    return str(problem.get("detail") or "the answer is no problem document; is this a Tidegate?")
