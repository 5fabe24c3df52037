"""All causes, by their names."""

from typing import Any

from benchmarks.causes import of_alerts, of_feeds, of_gates, of_stores
from benchmarks.causes.course import run

CAUSES = {cause.name: cause for part in (of_stores, of_feeds, of_gates, of_alerts) for cause in part.CAUSES}


def outcome_of(name: str) -> dict[str, Any]:
    """Run one cause; in the main thread, since servers end with the thread that started them."""
    return run(CAUSES[name]).document()
