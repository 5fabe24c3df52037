"""What a case is: a request, the rule of the RFC that it keeps or breaks, and what the RFC asks for then."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.http.corpus.message import Named


@dataclass(frozen=True)
class Ask:
    """What a server is to do."""

    words: str
    answers: tuple[frozenset[int], ...]
    """How many answers there are, and the statuses that each may have."""
    may_be_silent: bool = False
    """Whether the connection may be closed without an answer: the request never came to its end."""
    has_to_close: bool = False
    """Whether the connection must be closed even when the request is served."""

    def allows(self, statuses: tuple[int, ...], goes_on: bool) -> bool:
        """Whether these answers, and the connection kept or closed behind them, are what is asked."""
        if not statuses:
            return self.may_be_silent
        if self.has_to_close and goes_on:
            return False
        return len(statuses) == len(self.answers) and all(map(_has, self.answers, statuses))


def _has(allowed: frozenset[int], status: int) -> bool:
    return status in allowed


# The resources of the cases answer with one of these when they were reached.
_DONE = frozenset({200, 404, 405})
_BAD = frozenset({400})

SERVED = Ask("served", (_DONE,))
SERVED_TWICE = Ask("both served", (_DONE, _DONE))
SERVED_AND_CLOSED = Ask("served, then closed", (_DONE,), has_to_close=True)
SERVED_THEN_BAD = Ask("served, then 400", (_DONE, _BAD))
BAD = Ask("400", (_BAD,))
BAD_OR_SERVED = Ask("400 or served", (_BAD | _DONE,))
NOT_IMPLEMENTED_OR_SERVED = Ask("400, 501 or served", (frozenset({400, 501}) | _DONE,))
BAD_OR_CLOSED = Ask("400, or served and then closed", (_BAD | _DONE,), has_to_close=True)
BAD_OR_NOT_IMPLEMENTED = Ask("400 or 501", (frozenset({400, 501}),))
NOT_IMPLEMENTED = Ask("501", (frozenset({501}),))
NO_TUNNEL = Ask("400, 404, 405 or 501", (frozenset({400, 404, 405, 501}),))
VERSION = Ask("505", (frozenset({505}),))
VERSION_OR_BAD = Ask("505 or 400", (frozenset({400, 505}),))
TOO_LARGE = Ask("served, 413, 414 or 431", (frozenset({413, 414, 431}) | _DONE,))
TOO_LONG = Ask("400 or 413", (frozenset({400, 413}),))
EXPECTATION = Ask("417 or served", (frozenset({417}) | _DONE,))
INCOMPLETE = Ask("no answer, 400 or 408", (frozenset({400, 408}),), may_be_silent=True)
BAD_OR_INCOMPLETE = Ask(
    "400, 408 or served, or no answer", (frozenset({400, 408}) | _DONE,), may_be_silent=True
)
INCOMPLETE_AND_LONG = Ask("no answer, 400, 408 or 413", (frozenset({400, 408, 413}),), may_be_silent=True)
TOO_LONG_OR_SERVED = Ask("413, or served and then closed", (frozenset({413}) | _DONE,), has_to_close=True)


@dataclass(frozen=True)
class Rule:
    """One rule, and how its cases are made."""

    name: str
    ask: Ask
    section: str
    says: str
    """What is sent, in a few words."""
    is_cut_off: bool
    """Whether the client ends its side of the connection behind the request, which has no end of its own."""
    make: Callable[[], Named]


@dataclass(frozen=True)
class Case:
    """One request."""

    rule: Rule
    variant: str
    data: bytes

    @property
    def answers_before_the_end(self) -> int:
        """How many answers a client that ends its side reads before it does."""
        ask = self.rule.ask
        return 0 if self.rule.is_cut_off and ask.may_be_silent else len(ask.answers)

    @property
    def name(self) -> str:
        """The rule and the variant."""
        return f"{self.rule.name}/{self.variant}"


RULES: list[Rule] = []


def rule(
    name: str, ask: Ask, section: str, says: str, *, is_cut_off: bool = False
) -> Callable[[Callable[[], Named]], Callable[[], Named]]:
    """Note a function that makes the cases of one rule."""

    def note(make: Callable[[], Named]) -> Callable[[], Named]:
        RULES.append(Rule(name, ask, section, says, is_cut_off, make))
        return make

    return note
