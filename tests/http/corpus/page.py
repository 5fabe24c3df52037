"""Writes docs/http-conformance.md from the results of a run."""

from collections import Counter
from collections.abc import Iterator

from tests.http.corpus.explanations import EXPLANATIONS
from tests.http.corpus.findings import Whole, against, against_the_rfc, by_rule
from tests.http.corpus.rule import Rule

HEAD = """\
# HTTP/1.1: what the gate does with requests that are not quite right

{cases} requests made from the grammar of RFC 9112 and RFC 9110, by {rules} rules, most of which break one
thing in a request that is right. Each is sent to the gate whole, byte by byte, cut at random and between
good requests, with the fast path and without it; the answers are the same. uvicorn {uvicorn}, with its
httptools protocol and an application of a few lines, is a second opinion. `POST /transactions` and `GET
/livez` are what is asked for: `200`, `404` and `405` say that the request was understood, and `closed` that
the connection ended behind the answer.

`pytest tests/http/corpus` sends every case whole and a part of them in the other ways, and fails when an
answer is not the one that stands here; `python -m tests.http.corpus` sends all, tells what came of each
rule, and with `--write` writes this page.

## Differences, and why

Where the gate does not do what the RFC asks, or does something else than uvicorn.

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
