"""Colours that mean the same on every dashboard, and the alerts that panels draw."""

from dataclasses import dataclass

Colours = dict[str, str]

OUTCOMES: Colours = {
    "accepted": "green",
    "duplicate": "blue",
    "invalid": "yellow",
    "refused": "purple",
    "failed": "red",
}
MAPS: Colours = {"signatures": "blue", "transactions": "green", "observations": "purple"}
PROCESSES: Colours = {"gate": "blue", "store": "orange"}
REASONS: Colours = {"expired": "green", "emergency": "orange", "manual": "blue", "capacity": "red"}
TRIGGERS: Colours = {"periodic": "green", "manual": "blue", "emergency": "orange", "alert": "purple"}
QUANTILES: Colours = {"p50": "green", "p95": "blue", "p99": "purple"}
GUARD_STATES: Colours = {
    "warmup": "super-light-blue",
    "ok": "green",
    "suspect": "yellow",
    "leak": "orange",
    "cooldown": "blue",
    "ineffective": "red",
}
GOOD = "green"
NEUTRAL = "text"
SEVERITIES: Colours = {"warning": "orange", "critical": "red"}
LIMIT = "red"


@dataclass(frozen=True)
class Alarm:
    """An alert whose threshold a panel shows: the colour changes from `at` on, or below it.

    `at` has the unit of the alert's own expression. With `line` the threshold is a series: its legend.
    """

    alert: str
    at: float | None = None
    severity: str = "warning"
    below: bool = False
    line: str = ""

    @property
    def colour(self) -> str:
        """The colour of the severity."""
        return SEVERITIES[self.severity]

    def sentence(self) -> str:
        """What the panel's description says about it."""
        if self.line:
            return f"Past the line `{self.line}`: alert {self.alert}."
        if self.at is None:
            return f"See alert {self.alert}."
        side = "below" if self.below else "from"
        return f"{self.colour.capitalize()} {side} {self.at:.10g}: alert {self.alert}."
