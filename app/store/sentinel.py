"""One sentinel: what it is asked, how late its answers are, and for how long it has given none."""

import asyncio
from copy import copy
from time import monotonic

from app.errors import StoreError, StoreUnsupported
from app.store.address import StoreAddress
from app.store.error_mapping import as_store_error
from app.store.reconnecting_node import Node
from app.store.sentinel_agreement import Place, Report, fields_of, place_in, place_of, report_of
from app.store.shared_connection import Link, NotConnected, ReplyError, packed
from app.store.silent_sentinels import SILENT_SECONDS, Silent

MOST_SECONDS = 1.0
"""How long a sentinel may take before its connection is given up."""
LATE_SECONDS = 0.5
"""How long a sentinel is waited for where it matters what each of them says. One that took longer the last
time is not: when it hangs it must not keep the others from being heard."""
MOST_UNANSWERED = 10  # questions to one sentinel, which is asked ten times a second


class Sentinel:
    """One sentinel, and the connection to it."""

    def __init__(self, address: StoreAddress, deadline_seconds: float, *, was_late: bool = False) -> None:
        """Know the address; `was_late` says that the same sentinel is late by another address."""
        self.address = address
        self.id = b""
        """The id of the sentinel, learned from each new connection."""
        self._owed: list[float] = []  # when the questions were asked that are under way
        self._was_late = was_late
        self._node = Node(address, min(deadline_seconds, MOST_SECONDS), self._learn_id)
        self._refusal: NotConnected | None = None
        self._heard_at, self._trouble = monotonic(), StoreError("not asked yet")

    @property
    def may_be_asked(self) -> bool:
        """Whether fewer questions to it are under way than MOST_UNANSWERED."""
        return len(self._owed) < MOST_UNANSWERED

    @property
    def is_late(self) -> bool:
        """Whether its last answer took longer than LATE_SECONDS, or failed, or the next one takes longer."""
        return self._was_late or (bool(self._owed) and _is_late_since(self._owed[0]))

    async def connect(self) -> bool:
        """Connect, for as long as that may take, and say whether it did; `report` raises why it did not."""
        try:
            await self._node.connect()
        except NotConnected as refusal:
            self._refusal = refusal
            return False
        self._refusal = None
        return True

    async def report(self, service: str) -> Report:
        """Ask the sentinel what it knows of the service.

        Raises:
            NotConnected, AnswerLost, TimeoutError, ReplyError, hiredis.ProtocolError: see `Node.call`.
            StoreUnsupported: it answers as no sentinel does.
        """
        asked_at = monotonic()
        self._owed.append(asked_at)
        try:
            report = await self._report(service, asked_at)
        except Exception as error:
            self._trouble, self._was_late = as_store_error(error), True
            raise
        finally:
            self._owed.remove(asked_at)
        self._heard_at, self._was_late = monotonic(), _is_late_since(asked_at)
        return report

    async def _report(self, service: str, asked_at: float) -> Report:
        try:
            reply, named = await asyncio.gather(
                self._node.call("SENTINEL", "MASTER", service),
                self._node.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service),
            )
        except NotConnected as error:
            # An answer is not waited for as long as a connection, which would say more than that it is late.
            if self._refusal is not None and isinstance(error.__cause__, TimeoutError):
                raise copy(self._refusal) from self._refusal.__cause__
            raise
        return report_of(self.id, asked_at, fields_of(reply), place_in(named))

    def silence(self) -> Silent | None:
        """Say why it has not answered for a while; None if it has."""
        is_silent = monotonic() - self._heard_at >= SILENT_SECONDS
        return Silent(self.address.shown_place, self._trouble) if is_silent else None

    async def others(self, service: str) -> dict[bytes, Place]:
        """Return the places of the other sentinels, by their ids; raises what `report` does."""
        replies = await self._node.call("SENTINEL", "SENTINELS", service)
        if not isinstance(replies, list):
            raise StoreUnsupported("it answers SENTINEL SENTINELS as no sentinel does")
        others = {one.get("runid", "").encode(): place_of(one) for one in map(fields_of, replies)}
        # A sentinel has port 0 for another whose address was taken over by a third one.
        return {sentinel: place for sentinel, place in others.items() if place[1]}

    async def close(self) -> None:
        """Close the connection."""
        self._node.close()
        await self._node.wait_closed()

    async def _learn_id(self, link: Link) -> None:
        reply = await link.send(packed(("SENTINEL", "MYID")))
        if isinstance(reply, ReplyError):
            raise reply
        self.id = reply if isinstance(reply, bytes) else b""


def _is_late_since(asked_at: float) -> bool:
    return monotonic() - asked_at > LATE_SECONDS
