"""`tidegate feeds check`: what the feeds file says, and what would become of a body, without a gate."""

import asyncio
import sys
from codecs import BOM_UTF8
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import click

from app.cli.exit_codes import REFUSED, USAGE, Refused
from app.cli.gate_answers import plain
from app.decode.array_scanner import SPACE
from app.decode.body_budget import most_inflated, most_unverified
from app.decode.gzip import Inflater
from app.decode.item import InvalidItem, ItemLimits, ItemResult
from app.errors import BodyTooLarge, ConfigError, HttpError
from app.feeds.body_parts import Part
from app.feeds.feed import Feed, is_feed_name
from app.feeds.feeds_file import load_feeds
from app.feeds.provider_body import read_provider_body
from app.models import SOURCE_RULE
from app.settings.model import Settings, load_settings
from app.settings.process_limits import most_feed_bytes, process_limits
from app.web.amounts import count

GZIP = b"\x1f\x8b"
OUTCOMES = ("accepted", "duplicate", "invalid", "skipped")


class WrongSettings(click.ClickException):
    """Raised when the feeds file or a setting is wrong: what a gate would say and not start."""

    exit_code = USAGE


@click.group()
def feeds() -> None:
    """Check the feeds file, and what would become of a body."""


@feeds.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--feed", "name", metavar="NAME", help="Show this feed, which the file need not declare.")
@click.option(
    "--body", type=click.File("rb"), help="A body that the feed sends, plain or gzip; `-` is stdin."
)
def check(file: Path, name: str | None, body: BinaryIO | None) -> None:
    """Say what FILE declares, or read a body as a gate with FILE would, transaction by transaction.

    Nothing is stored, and no gate is needed. The TIDEGATE_… variables say how long a body may be, and
    whether there are ingest tokens. That the body is signed is not checked.

    Exits with 2 when FILE cannot be used, and with 1 when something in the body is invalid.
    """
    if body is not None and name is None:
        raise click.UsageError("--body needs --feed NAME beside it: whose rules are to be used?")
    if name is not None and not is_feed_name(name):
        raise click.UsageError(f"{plain(name)!r} cannot be the name of a feed, which is {SOURCE_RULE}")
    try:
        declared, settings = load_feeds(file), load_settings()
    except ConfigError as error:
        raise WrongSettings(plain(error)) from None
    shown = declared.declared.values() if name is None else [declared.get(name)]
    if name is None:
        click.echo(f"{plain(file)}: {count(len(shown))} {'feed' if len(shown) == 1 else 'feeds'}")
    for feed in shown:
        click.echo(f"{feed.name}: {_described(feed, feed.name in declared.declared)}")
    is_open = not (settings.ingest_tokens or settings.ingest_tokens_file)
    if name is None and is_open and (warning := declared.warning_if_open()) is not None:
        click.echo(f"warning: {warning}")
    if body is not None and name is not None:
        _show_body(body, declared.get(name), settings)


def _described(feed: Feed, is_declared: bool) -> str:
    """Say in one line who is let in, how much, and how its bodies are read."""
    rules = feed.rules
    words = [] if is_declared else ["is not declared and has the defaults"]
    words.append(_access(feed))
    if feed.transactions_per_second is not None:
        words.append(f"at most {count(feed.transactions_per_second)} transactions a second")
    if rules.skip:
        words.append(f"skips {' and '.join(sorted(rules.skip))}")
    if rules.mapped is not None:
        places = zip(rules.mapped._fields, rules.mapped, strict=True)
        found = ", ".join(f"{field} {plain(place)!r}" for field, place in places if place is not None)
        words.append(f"mapped ({found})")
    return "; ".join(words)


def _access(feed: Feed) -> str:
    signature = feed.signature
    if signature is None:
        return "asks for an ingest token if the gate has any"
    secrets = f"any of {signature.secrets} secrets" if signature.secrets > 1 else "one secret"
    over = "before gzip" if feed.over_inflated else "as it is sent"
    return (
        f"signs the body {over} as {signature.scheme.name}, with {secrets}, "
        f"at most {signature.max_age_seconds:g} s ago"
    )


def _show_body(body: BinaryIO, feed: Feed, settings: Settings) -> None:
    listing = _Listing()
    try:
        document = _document(body, feed, settings)
        asyncio.run(listing.read(document, feed, settings))
    except HttpError as error:
        listing.finish()
        raise Refused(f"the body would be answered {error.status}: {plain(error)}") from None
    listing.finish()
    if listing.outcomes["invalid"]:
        sys.exit(REFUSED)


def _document(body: BinaryIO, feed: Feed, settings: Settings) -> bytes:
    """Return the whole body, inflated where it is gzip, without a byte order mark and white space around it.

    Raises:
        BodyTooLarge: a gate would not take it, sent or inflated.
        MalformedBody: it begins like gzip and is none.
    """
    most, room = most_feed_bytes(settings), process_limits(settings).body_bytes
    is_signed = feed.signature is not None
    most_sent = most_unverified(most, room) if is_signed else most
    with body:
        sent = body.read(most_sent + 1)
    if len(sent) > most_sent:
        raise BodyTooLarge(f"the body has more than {most_sent} bytes")
    if sent.startswith(GZIP):
        if is_signed and feed.over_inflated:  # it is inflated before it is verified
            room = most_unverified(room, room)
        elif is_signed:  # what was sent is held beside what comes out
            room -= len(sent)
        inflater = Inflater(most_inflated(most, room))
        sent = b"".join(inflater.decode(sent))
        inflater.finish()
    return sent.removeprefix(BOM_UTF8).strip(SPACE)


class _Listing:
    """Prints a line for each transaction of a body, and counts what would become of them.

        0  accepted  helius-enhanced  signature 5BNb…  slot 287412732  payload 1,497 bytes
        -  skipped  solana-block  votes
        1  invalid  solana-block: null is no transaction
        2  duplicate of 0  helius-enhanced  signature 5BNb…  slot 287412732  payload 1,497 bytes

    The numbers are the indices of a gate's answer, which has none for what is skipped.
    """

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self._index = 0
        self._shape = ""
        self._shapes: Counter[str] = Counter()
        self._places: dict[str, int] = {}

    async def read(self, document: bytes, feed: Feed, settings: Settings) -> None:
        """Read a body as a gate would, but one transaction at a time, so that each is told with its shape."""
        limits = ItemLimits(settings.max_payload_bytes, settings.max_payload_depth, feed.name)
        async for part in read_provider_body(document, limits, feed.rules, 1):
            self._show(part)

    def _show(self, part: Part) -> None:
        self._shapes.update(part.shapes)
        # A block has its shape in the part of its first transaction.
        self._shape = next(iter(part.shapes), self._shape)
        for rule, times in part.skipped.items():
            self.outcomes["skipped"] += times
            for _ in range(times):
                click.echo(f"-  skipped  {self._shape}  {rule}")
        for result in part.results:
            self._show_result(result)
            self._index += 1

    def _show_result(self, result: ItemResult) -> None:
        if isinstance(result, InvalidItem):
            self.outcomes["invalid"] += 1
            click.echo(f"{self._index}  invalid  {plain(result)}")
            return
        first = self._places.setdefault(result.signature, self._index)
        outcome = "accepted" if first == self._index else "duplicate"
        self.outcomes[outcome] += 1
        place = "" if first == self._index else f" of {first}"
        slot = "-" if result.slot is None else result.slot
        click.echo(
            f"{self._index}  {outcome}{place}  {self._shape}  signature {result.signature}  slot {slot}  "
            f"payload {count(len(result.payload))} bytes"
        )

    def finish(self) -> None:
        """Print the sums."""
        sums = ", ".join(f"{count(self.outcomes[outcome])} {outcome}" for outcome in OUTCOMES)
        shapes = ", ".join(f"{count(times)} {shape}" for shape, times in sorted(self._shapes.items()))
        click.echo(f"transactions: {sums}; documents: {shapes or 'none'}; nothing was stored")
