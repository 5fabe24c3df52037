"""Sends the whole corpus to every server, many connections at a time, and keeps what came back."""

import asyncio
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cached_property

from tests.http.corpus.conversation import Transcript, talk
from tests.http.corpus.rule import Case
from tests.http.corpus.sendings import Sending, Verdict, Way, sendings
from tests.http.corpus.servers import HAS_SWITCH, Gate, Server, gate, plain

CONNECTIONS = 64
ALL_WAYS = tuple(Way)


@dataclass
class Results:
    """What one server did."""

    name: str
    transcripts: dict[Sending, Transcript]
    carried_out: set[str] = field(default_factory=set)
    counted: Counter[str] = field(default_factory=Counter)
    """The gate's own figures of this run, by status, and of refusals."""
    is_alive: bool = True

    @cached_property
    def verdicts(self) -> dict[Case, dict[Way, Verdict]]:
        """Of each case, by the way it was sent."""
        found: dict[Case, dict[Way, Verdict]] = defaultdict(dict)
        for sending, transcript in self.transcripts.items():
            found[sending.case][sending.way] = sending.verdict(transcript)
        return found


async def run(cases: list[Case], *, is_bounded: bool) -> list[Results]:
    """The results of the gate with its fast path, without it, and of uvicorn, in this order."""
    async with AsyncExitStack() as stack:
        gates = [await stack.enter_async_context(gate("gate", is_fast=True))]
        if HAS_SWITCH:
            gates.append(await stack.enter_async_context(gate("gate without fast path", is_fast=False)))
        results = [await _of_gate(each, cases, is_bounded) for each in gates]
        other = await stack.enter_async_context(plain())
        alone = sendings(cases, (Way.WHOLE,), "u", is_bounded=is_bounded)
        return [*results, Results(other.name, await send_all(other, alone))]


async def _of_gate(server: Gate, cases: list[Case], is_bounded: bool) -> Results:
    todo = sendings(cases, ALL_WAYS, "g", is_bounded=is_bounded)
    before = server.counted()
    results = Results(server.name, await send_all(server, todo))
    results.counted = server.counted() - before
    results.is_alive = server.process.is_ready()
    results.carried_out = server.carried_out([signature for sending in todo for signature in sending.own])
    return results


async def send_all(server: Server, todo: list[Sending]) -> dict[Sending, Transcript]:
    """Send all, a number of connections at a time."""
    room = asyncio.Semaphore(CONNECTIONS)

    async def send(sending: Sending) -> Transcript:
        async with room:
            return await talk(server.address, sending.script())

    return dict(zip(todo, await asyncio.gather(*map(send, todo)), strict=True))
