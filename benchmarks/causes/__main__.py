"""Is each cause told once, by its name, to the right people, and is its end told?

For each cause a whole installation is started in a process of its own: gates, store, Prometheus and
Alertmanager with the shipped files, three feeds, a consumer, and webhooks that stand for pager and chat. It
is calm for a while; then the cause is forced, stays for a while after people were told, and is taken away.
The run ends when nothing has fired for three quarters of a minute. What people were told, and what fired
besides, goes to `results/causes.json` and into the table of docs/causes.md.

It is a program and no test, since it takes some twenty minutes as shipped, and writes a page; what it found
wanting in rules and inhibitions has tests of its own, in deploy/prometheus/tests and tests/deploy.

    python -m benchmarks.causes [--only store-down] [--beside 16]

`--beside` is how many run at a time. It fails when something is not as wanted.
"""

import json
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.causes.catalogue import CAUSES, outcome_of
from benchmarks.causes.table import table
from benchmarks.common.results import RESULTS, between, options_of, say, show, taken_here, where, write_json

RESULT = RESULTS / "causes.json"
PAGE = Path(__file__).parents[2] / "docs" / "causes.md"
BEGIN, END = "<!-- begin: table -->", "<!-- end: table -->"


def write_page(document: dict[str, Any]) -> str:
    """Put the table into the page, and return it."""
    text = f"{table(list(CAUSES.values()), document['causes'])}\n\nThe last run: {where(document)}.\n"
    PAGE.write_text(between(PAGE.read_text(), BEGIN, END, text))
    return text


def main() -> int:
    """Force the causes; 0 when each alert fired as wanted."""
    options = options_of(__doc__, CAUSES, beside=16).parse_args()
    names = options.only or list(CAUSES)
    known = json.loads(RESULT.read_text())["causes"] if options.only and RESULT.exists() else {}
    document = {**taken_here(), "causes": known}
    failed = set(names)
    with ProcessPoolExecutor(options.beside, get_context("spawn"), max_tasks_per_child=1) as pool:
        running = {pool.submit(outcome_of, name): name for name in names}
        for done in as_completed(running):
            name = running[done]
            if (error := done.exception()) is not None:
                say(f"{name}: {error!r}")
                continue
            known[name] = done.result()
            # At once: what else runs may take longer than somebody waits.
            write_json(RESULT, document)
            if not known[name]["problems"]:
                failed.remove(name)
    show(write_page(document))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
