"""All cases, in one order."""

from tests.http.corpus import chunked, exchanges, fields, lengths, request_lines
from tests.http.corpus.rule import RULES, Case

# The modules whose rules are noted when they are imported, in the order of a request.
AREAS = [area.__name__ for area in (request_lines, fields, lengths, chunked, exchanges)]


def all_cases() -> list[Case]:
    """Every case of every rule."""
    rules = sorted(RULES, key=lambda rule: AREAS.index(rule.make.__module__))
    return [Case(rule, variant, data) for rule in rules for variant, data in rule.make()]
