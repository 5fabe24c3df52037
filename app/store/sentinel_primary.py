"""The primary of a service that sentinels watch: found, vouched for, and left when it is replaced.

A primary that was replaced does not know it. It may have hung or been cut off from the sentinels, go on
where it stood, and take writes for some ten seconds, until a sentinel makes it a replica and what it took is
lost. So a call counts only if the server was the primary when its answer came. Two things can say so:

- A majority of the sentinels vouched for the server until a later moment (sentinel_agreement.py). They are
  asked ten times a second, so mostly this holds, and costs a call nothing.
- Else the sentinels are asked once more, and a majority still names the server, and does not hold it to be
  down.

Before a call is sent the same holds: nothing is written to a server for which nobody vouches.
"""

import asyncio
from copy import copy
from time import monotonic
from typing import Any

from app.errors import StoreError, StoreNoPrimary, StoreUnsupported
from app.process.shared_task import SharedTask
from app.store.reconnecting_node import Node
from app.store.sentinel import LATE_SECONDS
from app.store.sentinel_agreement import Agreement, Answers
from app.store.sentinels import GRACE_SECONDS, Sentinels
from app.store.server_identity import Server, identify, parse_info, server_in
from app.store.shared_connection import Argument, Link, NotConnected, ReplyError, packed
from app.store.silent_sentinels import Silent

ASK_SECONDS = 0.1
OPENINGS = 3
"""Connections that are opened one after the other: to the sentinels of the URL, to those that they tell of,
and to the primary."""


class Primary:
    """Calls the primary of a service for as long as a majority of the sentinels vouches for it."""

    def __init__(self, sentinels: Sentinels, found: Agreement) -> None:
        """Know what the sentinels agreed on; `open` connects to it."""
        self._sentinels = sentinels
        self._found, self._place = found, found.primary
        address = sentinels.service.servers.at(*self._place)
        self._node = Node(address, sentinels.deadline_seconds, self._examine)
        self._run_id: str | None = None
        self._started_by = 0.0
        """The process there was started at this moment, or before it."""
        self._holds_until = found.holds_until
        self._replaced: StoreNoPrimary | None = None
        self._asking = SharedTask(self._ask)
        self._watching: asyncio.Task[None] | None = None

    async def open(self, ledger_key: str) -> Server:
        """Connect to the server that the sentinels agreed on, and see that they vouch for it still.

        While what they said holds, that costs no round trip to them. They are asked also while the gate
        connects, which takes long when the server's host is gone.
        The server may be an old primary that came back after a crash, without data or with that of an
        earlier snapshot, before the sentinels noticed, and they are about to replace it. It is believed when
        a majority has seen no other process at its place. With data, it also is when a majority has had an
        answer of it since it was started: their patience with it began anew then.

        Raises:
            StoreError: the sentinels vouch for it no longer (see `Answers.refusal`).
            StoreUnsupported, NotConnected, AnswerLost, TimeoutError, ReplyError: see `identify`.
        """
        self._watching = asyncio.create_task(self._watch())
        try:
            await self._node.connect()
        except NotConnected:
            if self._replaced is not None:
                raise copy(self._replaced) from None
            raise
        server, has_ledger = await asyncio.gather(
            identify(self._node.call), self._node.call("EXISTS", ledger_key)
        )
        answered_at = monotonic()
        is_replaced_or_over = self._replaced is not None or answered_at >= self._holds_until
        if is_replaced_or_over or self._doubt(has_ledger) is not None:
            await self._be_vouched_for(answered_at)
        if (doubt := self._doubt(has_ledger)) is not None:
            raise doubt
        return server

    async def call(self, _key: str, *command: Argument, carriers: set[Link] | None = None) -> Any:
        """Send a command to the primary; errors are those of `Node.call`, and this one.

        Raises:
            StoreError: nobody vouches for it (see `Answers.refusal`). If its answer had come, it may have
                been carried out.
        """
        if self._replaced is not None or monotonic() >= self._holds_until:
            await self._be_vouched_for(monotonic())
        answer = await self._node.call(*command, carriers=carriers)
        answered_at = monotonic()
        if self._replaced is not None or answered_at >= self._holds_until:
            await self._be_vouched_for(answered_at)
        return answer

    async def call_each(self, *command: Argument) -> dict[str, Any]:
        """Send a command to the primary; errors are those of `call`."""
        return {self._node.address.shown_place: await self.call("", *command)}

    def silent_sentinels(self) -> list[Silent]:
        """List the sentinels that have not answered for a while."""
        return self._sentinels.silent()

    async def close(self) -> None:
        """Close the connection to it; who waits for the sentinels, which stay connected, is told so."""
        if self._replaced is None:
            self._replaced = StoreNoPrimary("the connection to the primary was closed")
        self._asking.cancel()
        if self._watching is not None:
            self._watching.cancel()
        self._node.close()
        watching = [] if self._watching is None else [self._watching]
        await asyncio.gather(
            *(self._node.wait_closed(), self._asking.wait_ended(), *watching), return_exceptions=True
        )

    def _doubt(self, has_ledger: bool) -> StoreNoPrimary | None:
        """Say why the server may be one that was started anew; None when the sentinels know it."""
        place, found = self._node.address.shown_place, self._found
        if found.knows(self._run_id or ""):
            return None
        if not has_ledger:
            return StoreNoPrimary(
                f"{place} is empty, and the sentinels have not noticed yet that it was started"
            )
        if not found.has_heard_since(self._started_by):
            return StoreNoPrimary(f"{place} was started, and the sentinels had no answer of it since")
        return None

    async def _be_vouched_for(self, moment: float) -> None:
        """Wait until the sentinels, asked at that moment or later, vouch for the primary.

        Raises:
            StoreError: they do not (see `Answers.refusal`).
        """
        while self._replaced is None:
            asking = self._asking.begin()
            await asyncio.wait([asking])
            if asking.cancelled():  # by `close`
                continue
            asked_at, refusal = asking.result()
            if asked_at >= moment:
                if refusal is not None:
                    raise copy(refusal)
                return
        raise copy(self._replaced)

    async def _watch(self) -> None:
        """Ask the sentinels over and over, and leave the primary once they name another."""
        while self._replaced is None:
            await asyncio.sleep(ASK_SECONDS)
            await self._asking.result()

    async def _ask(self) -> tuple[float, StoreError | None]:
        """Ask the sentinels; return when they were asked, and, if they do not vouch for it, why not."""
        asked_at = monotonic()
        # While it is vouched for without a gap nobody can have replaced it. After one, somebody may have who
        # is late to say so, as others vouch for it anew.
        patience = GRACE_SECONDS if asked_at < self._holds_until else LATE_SECONDS
        answers = await self._sentinels.ask(patience, self._heed)
        self._heed(answers)
        self._sentinels.keep_up(answers)
        if self._replaced is not None:
            return asked_at, self._replaced
        found = answers.agreement
        if found is None:
            return asked_at, answers.refusal()
        self._found, self._holds_until = found, max(self._holds_until, found.holds_until)
        return asked_at, None

    def _heed(self, answers: Answers) -> None:
        """Leave a server that another has replaced, so that calls under way on it fail.

        While one replaces it, what was said before holds no longer: somebody may have ordered that,
        although the server is not down.
        """
        if answers.primary not in (None, self._place):
            host, port = answers.primary
            self._replaced = StoreNoPrimary(f"the sentinels name another primary now, {host}:{port}")
            self._node.close()
        elif answers.is_replacing:
            self._holds_until = 0.0

    async def _examine(self, link: Link) -> None:
        """Refuse a connection to a replica, or to another process than the one that was vouched for."""
        reply = await link.send(packed(("INFO", "server", "replication")))
        if isinstance(reply, ReplyError):
            raise reply
        told, place = parse_info(reply, "server", "replication"), self._node.address.shown_place
        if server_in(told).is_cluster:
            raise StoreUnsupported("it is a node of a Cluster, which no sentinel watches")
        if told.get("role") != "master":
            raise StoreNoPrimary(f"the sentinels name {place}, which is a replica")
        run_id = str(told.get("run_id"))
        if self._run_id not in (None, run_id):
            raise StoreNoPrimary(f"{place} was started anew")
        self._run_id = run_id
        self._started_by = monotonic() - int(told.get("uptime_in_seconds", 0))


async def find_primary(sentinels: Sentinels, ledger_key: str) -> tuple[Primary, Server]:
    """Ask sentinels for the primary of their service, and connect to it.

    Raises:
        StoreError: they vouch for none (see `Answers.refusal`).
        StoreUnsupported, NotConnected, AnswerLost, TimeoutError, ReplyError: the primary did this.
    """
    answers = await sentinels.meet()
    found = answers.agreement
    if found is None:
        raise answers.refusal()
    primary = Primary(sentinels, found)
    try:
        return primary, await primary.open(ledger_key)
    except BaseException:
        await primary.close()
        raise
