"""The table of docs/causes.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.causes.course import Cause
from benchmarks.common.results import markdown

HEAD = (
    "cause",
    "told",
    "to",
    "after, s",
    "fired beside it, told to nobody",
    "what ended it",
    "end told, s after the cause had gone",
    "clock",
    "run (UTC)",
)
PEOPLE = {"pager": "pager", "humans": "chat"}


def table(causes: Sequence[Cause], outcomes: Mapping[str, Mapping[str, Any]]) -> str:
    """One row for each cause that was run."""
    return markdown(
        [HEAD, *(_row(cause, outcomes[cause.name]) for cause in causes if cause.name in outcomes)]
    )


def _row(cause: Cause, outcome: Mapping[str, Any]) -> tuple[str, ...]:
    told = outcome["told"]
    firing = [one for one in told if one["status"] == "firing"]
    resolved = [one["seconds"] for one in told if one["status"] == "resolved" and one["alert"] == cause.alert]
    names = {one["alert"] for one in firing}
    beside = sorted(name for name in outcome["fired"] if name not in names)
    return (
        cause.what,
        ", ".join(_link(name) for name in sorted(names)) or "nothing",
        ", ".join(sorted({PEOPLE[one["receiver"]] for one in firing})),
        ", ".join(dict.fromkeys(f"{one['seconds']:.0f}" for one in firing)),
        ", ".join(_link(name) for name in beside) or "nothing",
        _ending(cause, outcome),
        f"{resolved[-1] - outcome['healed']:.0f}" if resolved else "not",
        "as shipped" if outcome["faster"] == 1 else f"{outcome['faster']}× as fast",
        outcome["taken"][:16].replace("T", " "),
    )


def _ending(cause: Cause, outcome: Mapping[str, Any]) -> str:
    runs = ", ".join(f"{count:.0f} by {trigger}" for trigger, count in sorted(outcome["cleanups"].items()))
    return f"{cause.remedy} (emergency cleanups: {runs})" if runs else cause.remedy


def _link(alert: str) -> str:
    return f"[{alert.removeprefix('Tidegate')}](../deploy/runbooks/{alert}.md)"
