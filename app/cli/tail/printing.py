"""Prints what a gate hands out: the lines of a stream, or the leases of a consumer."""

import json
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

import click

from app.cli.tail.line_output import LineOutput
from app.web.amounts import count, seconds
from tidegate.client import Client
from tidegate.place import Start
from tidegate.records import Gap, Lag, Transaction, is_gap

# A quarter of what a gate keeps unless it is set otherwise.
LAG_WARNING_SECONDS = 30.0
LAG_WARNING_EVERY_SECONDS = 30.0


@dataclass(frozen=True)
class Wanted:
    """What the options ask for; `limit` is None where there is no end."""

    start: Start
    after: str | None
    sources: Sequence[str]
    payload: bool
    limit: int | None


async def print_stream(client: Client, output: LineOutput, wanted: Wanted) -> None:
    """Print the stream's lines until there were as many as are wanted."""
    lines_read = client.lines(
        start=wanted.start,
        after=wanted.after,
        sources=wanted.sources,
        payload=wanted.payload,
        limit=wanted.limit,
    )
    async with aclosing(lines_read):
        async for lines in lines_read:
            for line in lines:
                if is_gap(line):
                    notice(str(Gap.of_line(line)))
            await output.write(lines)


async def print_consumer(
    client: Client, output: LineOutput, consumer: str, wanted: Wanted, batch_lines: int
) -> None:
    """Print what a consumer leases, and commit each lease once the reader of stdout has taken it."""
    left = wanted.limit
    lag = _LagWarning(consumer)
    while left != 0:
        limit = batch_lines if left is None else min(batch_lines, left)
        lease = await client.lease(consumer, start=wanted.start, limit=limit)
        if lease.is_new:
            notice(f"{consumer} is new, or was forgotten: it begins with --from {wanted.start}")
        lag.note(lease.lag)
        for gap in lease.gaps:
            notice(str(gap))
        lines = _wanted_lines(lease.lines, wanted)
        await output.write([gap.line for gap in lease.gaps] + lines)
        await output.taken()
        await client.commit(lease)
        left = None if left is None else max(0, left - len(lines))


def notice(text: str) -> None:
    """Say something on stderr, beside the lines on stdout."""
    click.echo(text, err=True)


def _wanted_lines(lines: list[bytes], wanted: Wanted) -> list[bytes]:
    """Leave out the lines of other sources, and payloads that are not wanted."""
    if wanted.payload and not wanted.sources:
        return lines
    found = [Transaction.of(line) for line in lines]
    return [
        transaction.line if wanted.payload else _without_payload(transaction)
        for transaction in found
        if not wanted.sources or transaction.source in wanted.sources
    ]


def _without_payload(transaction: Transaction) -> bytes:
    """Return the line that `GET /stream?payload=false` has for a transaction."""
    names = ("cursor", "signature", "source", "slot", "first_seen_ms")
    members = {name: getattr(transaction, name) for name in names}
    return json.dumps(members, separators=(",", ":")).encode()


class _LagWarning:
    """Says that a consumer is far behind, at most every 30 seconds."""

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer
        self._next = time.monotonic()

    def note(self, lag: Lag) -> None:
        """Take the lag that came with a lease."""
        now = time.monotonic()
        if lag.seconds > LAG_WARNING_SECONDS and now >= self._next:
            self._next = now + LAG_WARNING_EVERY_SECONDS
            behind = f"{seconds(lag.seconds)} behind ({count(lag.transactions)} transactions)"
            notice(f"{self._consumer} is {behind}; it loses what the gate no longer keeps")
