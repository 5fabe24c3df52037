"""Spoils the matchers of PromQL: another value, the opposite, an alternative less, none at all."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import promql_parser
from promql_parser import Expr, Matcher, MatchOp, VectorSelector

Spoil = Callable[[Matcher], str | None]
"""What to write for a matcher; nothing leaves it out, and None is for one that cannot be spoilt so."""

OPERATORS = (("=", MatchOp.Equal), ("!=", MatchOp.NotEqual), ("=~", MatchOp.Re), ("!~", MatchOp.NotRe))
OPPOSITE = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
ANOTHER = "another"
MOST_MATCHERS, MOST_ALTERNATIVES = 5, 6


def changes_of_matchers() -> Iterator[tuple[str, Callable[[Expr], Expr | None]]]:
    """How the matcher at each place of a selector can be spoilt, each with what makes a new node of one."""
    ways: dict[str, Spoil] = {
        "with another value": lambda matcher: _written(matcher, value=ANOTHER),
        "turned": lambda matcher: _written(matcher, OPPOSITE[_operator(matcher)]),
        "dropped": lambda _: "",
    }
    for at in range(MOST_ALTERNATIVES):
        ways[f"without alternative {at}"] = partial(_fewer, at)
    for place, (how, spoil) in product(range(MOST_MATCHERS), ways.items()):
        yield f"matcher {place} {how}", partial(_spoilt, place, spoil)


def _spoilt(place: int, spoil: Spoil, node: Expr) -> Expr | None:
    if not isinstance(node, VectorSelector):
        return None
    matchers = node.matchers.matchers
    assert len(matchers) <= MOST_MATCHERS, node
    if place >= len(matchers) or (new := spoil(matchers[place])) is None:
        return None
    kept = [_written(one) for one in matchers]
    kept[place : place + 1] = [new] if new else []
    behind = str(node).rpartition("}")[2]
    return promql_parser.parse(f"{node.name}{{{','.join(kept)}}}{behind}")


def _written(matcher: Matcher, operator: str | None = None, value: str | None = None) -> str:
    chosen = json.dumps(matcher.value if value is None else value)
    return f"{matcher.name}{operator or _operator(matcher)}{chosen}"


def _operator(matcher: Matcher) -> str:
    return next(written for written, operator in OPERATORS if operator == matcher.op)


def _fewer(at: int, matcher: Matcher) -> str | None:
    """The matcher of a pattern without one of its alternatives."""
    alternatives = matcher.value.split("|")
    if "~" not in _operator(matcher) or "(" in matcher.value or len(alternatives) == 1:
        return None
    assert len(alternatives) <= MOST_ALTERNATIVES, matcher.value
    if at >= len(alternatives):
        return None
    return _written(matcher, value="|".join(alternatives[:at] + alternatives[at + 1 :]))
