"""The ways in which each case is sent: whole, byte by byte, cut at random, between good requests."""

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tests.http.corpus.conversation import Answer, Script, Transcript
from tests.http.corpus.message import FIRST, HEAD, POST, SECOND
from tests.http.corpus.rule import Case

MOST_PIECES = 8
# Byte by byte, a request of more is sent in pieces of more than a byte.
MOST_SINGLE_BYTES = 300

CLOSING = bytes(POST.plus(b"Connection: close"))


class Way(StrEnum):
    """How the bytes reach the server."""

    WHOLE = "whole"
    BYTES = "byte by byte"
    CUT = "cut at random"
    BETWEEN = "between good requests"


# Of a rule's cases, one in so many takes this way in the bounded run.
SHARES = {Way.WHOLE: 1, Way.BYTES: 18, Way.CUT: 6, Way.BETWEEN: 4}


@dataclass(frozen=True)
class Verdict:
    """What became of one request, whichever way it was sent."""

    statuses: tuple[int, ...]
    goes_on: bool
    """Whether the connection served the next request."""

    def __str__(self) -> str:
        said = ", ".join(map(str, self.statuses)) or "no answer"
        return said if self.goes_on else f"{said}, closed"


@dataclass(frozen=True)
class Sending:
    """One case on one connection; `mark` makes the signatures of this sending its own."""

    case: Case
    way: Way
    mark: str

    def signature(self, role: str) -> str:
        """That of a request in its place: before, first, second, after or last."""
        return self.mark + role[0]

    @property
    def own(self) -> tuple[str, ...]:
        """The signatures that this sending can have put into the gate."""
        return tuple(self.signature(role) for role in ("before", "first", "second", "after", "last"))

    def script(self) -> Script:
        """What the client does."""
        case = self.case
        data = case.data.replace(FIRST, self._bytes("first")).replace(SECOND, self._bytes("second"))
        ends, is_head = case.rule.is_cut_off, HEAD.line.split(b"/")[0] in data[:8]
        last = CLOSING.replace(FIRST, self._bytes("last"))
        awaited = case.answers_before_the_end
        if self.way != Way.BETWEEN:
            return Script(self._pieces(data), awaited, None if ends else last, is_head)
        before = bytes(POST).replace(FIRST, self._bytes("before"))
        if ends:
            return Script((before + data,), 1 + awaited, None, is_head)
        after = bytes(POST).replace(FIRST, self._bytes("after"))
        return Script((before + data + after,), 0, last, is_head)

    def verdict(self, transcript: Transcript) -> Verdict:
        """What the answers say about the case, with those to the good requests taken off."""
        around = {self.signature(role) for role in ("before", "after", "last")}
        statuses = tuple(answer.status for answer in transcript.answers if answer.signature not in around)
        return Verdict(statuses, any(_is(answer, self.signature("last")) for answer in transcript.answers))

    def good_one_was_answered(self, transcript: Transcript) -> bool:
        """Whether the good request before the case was answered, first of all."""
        if self.way != Way.BETWEEN:
            return True
        return bool(transcript.answers) and _is(transcript.answers[0], self.signature("before"))

    def _bytes(self, role: str) -> bytes:
        return self.signature(role).encode()

    def _pieces(self, data: bytes) -> tuple[bytes, ...]:
        if self.way == Way.BYTES:
            size = -(-len(data) // MOST_SINGLE_BYTES)
            return tuple(data[at : at + size] for at in range(0, len(data), size))
        if self.way == Way.CUT:
            return tuple(_cut_at_random(data, random.Random(self.case.name)))
        return (data,)


def _is(answer: Answer, signature: str) -> bool:
    return answer.signature == signature


def _cut_at_random(data: bytes, luck: random.Random) -> Iterator[bytes]:
    places = sorted(luck.sample(range(1, len(data)), min(len(data) - 1, luck.randint(1, MOST_PIECES))))
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        yield data[start:end]


def sendings(cases: list[Case], ways: tuple[Way, ...], prefix: str, *, is_bounded: bool) -> list[Sending]:
    """Every case in its ways; when bounded, the dearer ways only for a part of each rule's cases."""
    chosen = [(case, way) for case in cases for way in ways if not is_bounded or _has_turn(case, way)]
    return [Sending(case, way, f"{prefix}{number:014d}") for number, (case, way) in enumerate(chosen)]


def _has_turn(case: Case, way: Way) -> bool:
    """The same ones each time, and others for each way."""
    return zlib.crc32(f"{case.name} {way}".encode()) % SHARES[way] == 0
