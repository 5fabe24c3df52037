"""Posts batches of lines to a gate, and posts them again when it was busy or away."""

import gzip
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from app.cli.client import GateAddress, sentence
from app.cli.exit_codes import Refused
from app.cli.send.line_batches import Batch
from tidegate.answers import json_object, retry_after, wait_seconds

PIECE_BYTES = 64 * 1024
OK, UNPROCESSABLE, UNAVAILABLE = 200, 422, 503
COUNTS = ("accepted", "duplicate", "invalid")


@dataclass
class Sender:
    """Posts batches over one connection, again when the gate says so.

    A request answered 503 may have been processed in part. Sending it again is safe because the gate
    deduplicates, within its window: what the first try got in then counts as duplicate.
    """

    client: httpx.Client
    gate: GateAddress
    use_gzip: bool
    retries: int
    sleep: Callable[[float], None] = time.sleep
    reached: bool = False
    retried: int = 0

    def post(self, batch: Batch, params: dict[str, str]) -> dict[str, Any]:
        """Post a batch until the gate has taken it, and return its summary.

        Raises:
            Unreachable: nothing ever answered.
            Refused: still 503 or gone after all retries, or refused for good.
        """
        body = memoryview(gzip.compress(batch.body, 1) if self.use_gzip else batch.body)
        for attempt in range(self.retries + 1):
            answer = self._try(body, params)
            if isinstance(answer, str):
                last, wait = answer, 0.0
            elif answer.status_code != UNAVAILABLE:
                return summary(answer)
            else:
                last, wait = sentence(answer), retry_after(answer)
            if attempt < self.retries:
                self._back_off(attempt, wait)
        raise Refused(f"gave up after {self.retries + 1} tries: {last}")

    def _try(self, body: memoryview, params: dict[str, str]) -> httpx.Response | str:
        headers = {"Content-Type": "application/x-ndjson", "Content-Length": str(len(body))}
        if self.use_gzip:
            headers["Content-Encoding"] = "gzip"
        try:
            answer = self.client.post("/transactions", content=_pieces(body), params=params, headers=headers)
        except httpx.RequestError as error:
            if not self.reached:
                raise self.gate.unreachable(error) from None
            return f"no answer: {error or type(error).__name__}"
        self.reached = True
        return answer

    def _back_off(self, attempt: int, at_least_seconds: float) -> None:
        """Sleep a random part of a wait that doubles with each try, but no less than Retry-After says."""
        self.retried += 1
        self.sleep(wait_seconds(attempt, at_least_seconds))


def _pieces(body: memoryview) -> Iterator[bytes]:
    """Yield the body in parts: of a large buffer, httpcore copies the rest after each write to the socket."""
    for start in range(0, len(body), PIECE_BYTES):
        yield bytes(body[start : start + PIECE_BYTES])


def summary(answer: httpx.Response) -> dict[str, Any]:
    """Return the counts, which a 422 for lines that are all invalid carries too.

    Raises:
        Refused: the answer has none.
    """
    document = json_object(answer) or {}
    has_counts = all(isinstance(document.get(name), int) for name in COUNTS)
    if answer.status_code not in (OK, UNPROCESSABLE) or not has_counts:
        raise Refused(sentence(answer))
    errors = document.get("errors") if isinstance(document.get("errors"), list) else []
    usable = [
        error for error in errors or [] if isinstance(error, dict) and isinstance(error.get("index"), int)
    ]
    return document | {"errors": usable}
