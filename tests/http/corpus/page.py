"""Writes docs/http-conformance.md from the results of a run."""

from collections import Counter
from collections.abc import Iterator

from tests.http.corpus.explanations import EXPLANATIONS
from tests.http.corpus.findings import Whole, against, against_the_rfc, by_rule
from tests.http.corpus.rule import Rule

HEAD = """\
# HTTP conformance

This page is for developers, and for operators of a proxy in front of the gate: how the gate answers
requests that break a rule of HTTP/1.1, and where that differs from the RFCs or from uvicorn.

{rules} rules generate {cases} requests from the grammar of RFC 9112 and RFC 9110. Most rules break one
thing in a correct request. Each request is sent to the gate as a whole, byte by byte, cut at random places,
and between correct requests, with the fast path and without it. The answers are the same in all these ways.
For comparison, each request is also sent to uvicorn {uvicorn} with its httptools protocol and an
application of a few lines. The requests go to `POST /transactions` and `GET /livez`. `200`, `404` and `405`
mean that the request was understood; `closed` means that the connection ended after the answer.

`pytest tests/http/corpus` sends every request as a whole, and a part of them in the other ways. It fails if
an answer differs from this page. `python -m tests.http.corpus` sends all of them in all ways and prints the
answers for each rule; with `--write` it writes this page.

## Differences, and why

These are the rules for which the gate differs from the RFC or from uvicorn.

| rule | the RFC asks | gate | uvicorn | why |
|---|---|---|---|---|
"""

ALL = """
## All rules

| rule | what is sent | where | the RFC asks | gate |
|---|---|---|---|---|
"""


def page(gate: Whole, other: Whole, uvicorn: str) -> str:
    """The whole page."""
    gates, others = by_rule(gate), by_rule(other)
    head = HEAD.format(cases=f"{len(gate):,}", rules=len(gates), uvicorn=uvicorn)
    differing = differences(gate, other)
    rows = [_difference(rule, gates[rule], others[rule]) for rule in gates if rule.name in differing]
    return head + "".join(rows) + ALL + "".join(_every(gates))


def differences(gate: Whole, other: Whole) -> set[str]:
    """The rules that need an explanation."""
    return set(against_the_rfc(gate)) | set(against(gate, other))


def _difference(rule: Rule, gate: Counter[str], other: Counter[str]) -> str:
    why = EXPLANATIONS.get(rule.name, "**not explained**")
    return f"| `{rule.name}` | {rule.ask.words} | {_counts(gate)} | {_counts(other)} | {why} |\n"


def _every(gates: dict[Rule, Counter[str]]) -> Iterator[str]:
    for rule, counts in gates.items():
        says = rule.says.replace("|", "\\|")
        yield f"| `{rule.name}` | {says} | {rule.section} | {rule.ask.words} | {_counts(counts)} |\n"


def _counts(counts: Counter[str]) -> str:
    return "; ".join(
        f"{verdict} ×{count}"
        for verdict, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    )
