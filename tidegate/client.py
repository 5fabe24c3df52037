"""Reads what a gate accepts, in asyncio programs; `tidegate tail` reads by it too.

    from tidegate.client import Client

    async with Client("http://127.0.0.1:8000") as gate:
        async for transaction in gate.consume("bot"):
            print(transaction.signature, transaction.payload)

Several addresses are those of gates on one store: when one fails, the next goes on in its place. What
happens on the way (a gate that does not answer, a gap, a lease that ran out) is logged as a warning of the
logger `tidegate`.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from tidegate.answers import json_object
from tidegate.gates import Gates, Refused, logger, problem_name
from tidegate.place import Place, Start, whole_lines
from tidegate.records import Gap, Lease, Transaction, is_gap, is_heartbeat

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0
# A stream that has nothing to say sends an empty line every 15 s.
STREAM_TIMEOUT: Final = httpx.Timeout(45.0, connect=CONNECT_SECONDS)
# Heartbeats with the cursor: of the wanted sources nothing may come for longer than anything is kept.
STREAM_HEADERS: Final = {"Accept": "application/x-ndjson; heartbeat=cursor"}
WAIT_SECONDS = 20
COMMIT_GRACE_SECONDS = 2.0
GONE = 410
# Names that a consumer cannot have: a URL loses them (RFC 3986, 5.2.4).
NOT_IN_ADDRESSES: Final = frozenset({"", ".", ".."})
# Answers that say nothing of the call: of a gate that is busy, or of a proxy that has no gate now.
COME_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
# How a gate calls a lease that ran out and went to another caller, or whose consumer was forgotten since.
LOST_LEASES: Final = frozenset({"lease-lost", "unknown-lease"})


class Client:
    """Reads from one gate, or from several gates of one store.

    Closed by `async with` or `aclose`. Its methods raise `Unreachable` when no gate has ever answered, and
    `Refused` when a call is wrong; everything else they wait out. The name of a consumer that no address can
    have, as `..`, is a ValueError.
    """

    def __init__(self, *urls: str, token: str | None = None) -> None:
        self._gates = Gates(urls)
        self._http = httpx.AsyncClient(
            headers={"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {}),
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            trust_env=False,
            verify=any(url.lower().startswith("https:") for url in urls),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def consume(
        self,
        consumer: str,
        *,
        start: Start = "oldest",
        limit: int = 500,
        lease_seconds: int | None = None,
    ) -> AsyncGenerator[Transaction, None]:
        """Yield every transaction to a named consumer, without end, and commit what the loop has done with.

        Transactions come in leases of at most `limit`. A lease is committed when the body of the loop has run
        for the last of them, which has to be within `lease_seconds` (30 unless the gate is set otherwise).
        What was leased and not committed comes again, to whoever leases next: after a crash or a `break`, up
        to `limit` transactions. `start` is where a consumer begins that the gate does not know yet.
        """
        while True:
            lease = await self.lease(consumer, start=start, limit=limit, lease_seconds=lease_seconds)
            for gap in lease.gaps:
                logger.warning("%s: %s", consumer, gap)
            for transaction in lease.transactions:
                yield transaction
            await self.commit(lease)

    async def lease(
        self,
        consumer: str,
        *,
        start: Start = "oldest",
        limit: int = 500,
        wait_seconds: int = WAIT_SECONDS,
        lease_seconds: int | None = None,
    ) -> Lease:
        """Lease the next transactions of a consumer; without any in `wait_seconds`, the lease is empty."""
        params: dict[str, str | int] = {"from": start, "limit": limit, "wait_seconds": wait_seconds}
        if lease_seconds is not None:
            params["lease_seconds"] = lease_seconds
        timeout = httpx.Timeout(wait_seconds + ANSWER_SECONDS, connect=CONNECT_SECONDS)
        answer = await self._post(f"{_address(consumer)}/lease", params=params, timeout=timeout)
        try:
            return Lease.of(consumer, answer.raise_for_status().content.decode())
        except (httpx.HTTPStatusError, ValueError, LookupError, TypeError):
            raise Refused(answer) from None

    async def commit(self, lease: Lease) -> bool:
        """Commit a lease, and tell whether it counts: not where it had run out and went to another caller.

        A commit that is cancelled has two seconds to end, so that what was done is not handed out again.
        """
        if lease.identity is None:
            return True
        call = asyncio.ensure_future(self._commit(lease))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            await asyncio.wait({call}, timeout=COMMIT_GRACE_SECONDS)
            call.cancel()
            raise

    async def stream(
        self,
        *,
        start: Start = "now",
        after: str | None = None,
        sources: Sequence[str] = (),
        payload: bool = True,
    ) -> AsyncGenerator[Transaction, None]:
        """Yield every transaction from here on, without end and without commits.

        After a lost connection it goes on behind the last one. `after` is the cursor of a transaction; it
        counts instead of `start`.
        """
        pieces = self.lines(start=start, after=after, sources=sources, payload=payload)
        async with aclosing(pieces) as open_pieces:
            async for lines in open_pieces:
                for line in lines:
                    if is_gap(line):
                        logger.warning("%s", Gap.of_line(line))
                    else:
                        yield Transaction.of(line)

    async def lines(
        self,
        *,
        start: Start = "now",
        after: str | None = None,
        sources: Sequence[str] = (),
        payload: bool = True,
        limit: int | None = None,
    ) -> AsyncGenerator[list[bytes], None]:
        """Yield the lines of `GET /stream` as they come, some at a time, up to `limit` transactions.

        Lines of gaps are among them, and do not count. One of unknown size, without times, comes where the
        cursor is not known any more, before the oldest that is kept.
        """
        place = Place(start, after, limit)
        fixed: dict[str, Any] = {"source": list(sources)} | ({} if payload else {"payload": "false"})
        while place.left != 0:
            try:
                async with self._http.stream(
                    "GET",
                    f"{self._gates.url}/stream",
                    params=fixed | place.params,
                    headers=STREAM_HEADERS,
                    timeout=STREAM_TIMEOUT,
                ) as answer:
                    if not await self._streams(answer, place):
                        if place.is_lost():
                            yield [Gap(None, None, None).line]
                        continue
                    async for lines in whole_lines(answer):
                        self._gates.answered()
                        place.pass_by(lines)
                        yield [line for line in lines if not is_heartbeat(line)]
                        if place.left == 0:
                            return
            except httpx.RequestError as error:
                await self._gates.lost(error)
            else:
                if place.left != 0:
                    await self._gates.failed("the stream ended")

    async def _streams(self, answer: httpx.Response, place: Place) -> bool:
        """Tell whether an answer is the stream; otherwise what comes next is another try, or `Refused`."""
        if answer.is_success and answer.headers.get("content-type", "").startswith("application/x-ndjson"):
            self._gates.reached()
            place.begin(answer)
            return True
        await answer.aread()
        if answer.status_code in COME_AGAIN:
            await self._gates.busy(answer)
            return False
        if answer.status_code == GONE and place.after is not None:
            logger.warning("the cursor %s is not known here; going on from the oldest", place.after)
            self._gates.reached()
            place.lose()
            return False
        raise Refused(answer)

    async def _commit(self, lease: Lease) -> bool:
        answer = await self._post(f"{_address(lease.consumer)}/commit", json={"lease": lease.identity})
        if answer.is_success:
            return True
        if problem_name(answer) not in LOST_LEASES:
            raise Refused(answer)
        committed, lost = _partitions(answer)
        again = (
            f"what {lost} of its {committed + lost} partitions gave is"
            if committed
            else "its transactions are"
        )
        logger.warning(
            "%s: a lease of %d was committed too late; %s handed out again",
            lease.consumer,
            len(lease.lines),
            again,
        )
        return False

    async def _post(self, path: str, **options: Any) -> httpx.Response:
        """Send a request until a gate has an answer to it; all of them may be sent again."""
        while True:
            try:
                answer = await self._http.post(f"{self._gates.url}{path}", **options)
            except httpx.RequestError as error:
                await self._gates.lost(error)
                continue
            if answer.status_code not in COME_AGAIN and problem_name(answer) != "too-many-leases":
                self._gates.answered()
                return answer
            await self._gates.busy(answer)


def _partitions(answer: httpx.Response) -> tuple[int, int]:
    """Return of how many partitions a late commit counts all the same, and of how many it does not."""
    match json_object(answer):
        case {"partitions": {"committed": int(committed), "lost": int(lost)}}:
            return committed, lost
    return 0, 0


def _address(consumer: str) -> str:
    if consumer in NOT_IN_ADDRESSES:
        raise ValueError(f"{consumer!r} cannot be the name of a consumer, as addresses lose it")
    return f"/consumers/{quote(consumer, safe='')}"
