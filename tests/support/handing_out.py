"""Answers of a gate that hands out: lines of a stream, leases and commits, as SPEC §13 has them."""

import json
from collections.abc import Sequence

from tests.support.stand_in import Answer, problem

NDJSON = {"Content-Type": "application/x-ndjson"}


def line(number: int, source: str = "helius-a", payload: str = '{"fee":25000}') -> str:
    """The line of a transaction; its cursor is `c-<number>`."""
    head = {"cursor": f"c-{number}", "signature": f"s-{number}", "source": source, "slot": None}
    text = json.dumps(head | {"first_seen_ms": 1_795_399_557_579 + number}, separators=(",", ":"))
    return f'{text[:-1]},"payload":{payload}}}'


def gap(transactions: int | None, number: int | None = None) -> str:
    """The line of a gap of one minute; with the cursor `c-<number>`, if there is a number."""
    members = {"transactions": transactions, "from_ms": 1_795_399_500_000, "to_ms": 1_795_399_560_000}
    cursor = {} if number is None else {"cursor": f"c-{number}"}
    return json.dumps(cursor | {"gap": members}, separators=(",", ":"))


def stream(lines: Sequence[str], broken: str = "", **headers: str) -> Answer:
    """A stream that ends after these lines; with `broken`, the connection is lost within one more line."""
    body = "".join(f"{text}\n" for text in lines) + broken
    lost = {"Content-Length": str(len(body.encode()) + 100), "Connection": "close"} if broken else {}
    return Answer(200, body, NDJSON | lost | headers)


def lease(
    name: str | None,
    lines: Sequence[str],
    gaps: Sequence[str] = (),
    lag: tuple[int, float] = (0, 0.0),
    *,
    is_new: bool = False,
) -> Answer:
    """A lease of these lines; `new` is left out of one that is not, as an earlier gate does."""
    told = ",".join(json.dumps(json.loads(text)["gap"]) for text in gaps)
    head = f'{{"lease":{json.dumps(name)},"transactions":[{",".join(lines)}],'
    figures = f'"lag":{{"transactions":{lag[0]},"seconds":{lag[1]}}},"missed":null,"gaps":[{told}]'
    end = ',"new":true}' if is_new else "}"
    return Answer(200, head + figures + end)


def refusal(status: int, name: str, **headers: str) -> Answer:
    """A problem document of this name."""
    answer = problem(status, "Refused", f"it is {name}", type=f"urn:tidegate:problem:{name}")
    return Answer(status, answer.document, headers)
