"""`tidegate drill`: practise an alert, from the metric to what is done about it, and watch it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import click

from app.cli.client import GateAddress, checked, gate_options
from app.cli.exit_codes import Refused
from app.cli.gate_answers import elements, figure, members, plain

DRILLS: Final = ("leak", "full", "pressure", "store-down")
MAPS: Final = ("signatures", "transactions", "observations")
PATH: Final = "/drill"
WATCHED_ALERT: Final = "TidegateDrillFull"
"""The one alert of drills that Alertmanager tells the gate."""
POLL_SECONDS: Final = 1.0
# By the shipped routes a resolved alert is told within a minute and an evaluation.
RESOLVED_SECONDS: Final = 180.0
MIB: Final = 1024 * 1024

WORKS = "the whole chain works: metric, rule, Alertmanager, POST /alerts, cleanup, resolved"
NO_CLEANUP = (
    "no cleanup was run for the drill's alert. Look in this order: is tidegate_drill_map_fill_ratio in "
    f"Prometheus, does {WATCHED_ALERT} fire there, is it in Alertmanager, and does Alertmanager's log name "
    "an error of POST /alerts"
)
NOT_RESOLVED = "the cleanup was run, but Alertmanager has not told the gate that the alert is resolved"
FORGOTTEN = "the gate has forgotten the drill: it was started again"


@click.command()
@gate_options
@click.argument("what", type=click.Choice((*DRILLS, "status", "stop")))
@click.option("--seconds", type=click.FloatRange(1, 1800), help="The longest that it goes on.")
@click.option("--mib", type=click.IntRange(1, 1024), help="Of leak: the most that is kept, in MiB.")
@click.option("--map", "name", type=click.Choice(MAPS), help="Of full: the map; observations by default.")
@click.option("--refuse-ingest", is_flag=True, help="Of store-down, pressure: feeds may be answered 503.")
@click.option("--no-wait", is_flag=True, help="Begin it, and do not watch it.")
@click.option("--json", "as_json", is_flag=True, help="Print the gate's answer as it is, and do not watch.")
def drill(gate: GateAddress, what: str, no_wait: bool, as_json: bool, **given: Any) -> None:
    """Practise an alert: leak, full, pressure or store-down; status and stop are about the drill that is on.

    A drill ends by itself, also when this command or its terminal does, or the gate is started again.
    """
    method = {"status": "GET", "stop": "DELETE"}.get(what, "POST")
    answer = gate.call(method, PATH, params=_parameters(what, **given) if what in DRILLS else {})
    document = checked(answer)
    if as_json:
        click.echo(answer.text)
        return
    for line in _lines(document):
        click.echo(line)
    if what in DRILLS and not no_wait:
        _Watch(gate, members(document, "active")).follow()


def _parameters(
    what: str, seconds: float | None, mib: int | None, name: str | None, refuse_ingest: bool
) -> dict[str, Any]:
    given = {"drill": what, "seconds": seconds, "bytes": mib and mib * MIB, "map": name}
    given["refuse_ingest"] = "true" if refuse_ingest else None
    return {key: value for key, value in given.items() if value is not None}


def _lines(document: dict[str, Any]) -> Iterator[str]:
    active = members(document, "active")
    if not active:
        past = elements(document, "past")
        last = f"; the last one, {_name(past[0])}, ended: {plain(figure(past[0], 'end'))}" if past else ""
        yield f"no drill is on{last}"
        return
    yield f"drill {_name(active)}, {figure(active, 'seconds_left') or 0:.0f} s at most; it ends by itself"
    yield plain(figure(active, "effect"))
    yield f"alerts: {', '.join(map(plain, elements(active, 'alerts')))}"


def _name(one: Any) -> str:
    return plain(figure(one, "order", "drill"))


@dataclass
class _Watch:
    """Prints what the gate is told and does, until the drill is over, or the alert of `full` is resolved."""

    gate: GateAddress
    begun: dict[str, Any]
    _started: float = field(default_factory=time.monotonic)
    _told: set[str] = field(default_factory=set)

    def follow(self) -> None:
        """Watch to the end.

        Raises:
            Refused: the chain of `full` is broken, or the gate was started again.
        """
        end = self._await_end()
        if _name(self.begun) != "full":
            return
        if end != "answered":
            raise Refused(NO_CLEANUP)
        over = time.monotonic()
        while not any(event.endswith("resolved") for event in self._tell_events()):
            if time.monotonic() - over > RESOLVED_SECONDS:
                raise Refused(NOT_RESOLVED)
            time.sleep(POLL_SECONDS)
        click.echo(WORKS)

    def _await_end(self) -> str:
        while (end := self._end()) is None:
            self._tell_events()
            time.sleep(POLL_SECONDS)
        self._tell_events()
        self._tell(f"drill over: {end}")
        return end

    def _end(self) -> str | None:
        """Return how the drill ended; None while it is on."""
        document = checked(self.gate.call("GET", PATH))
        if self._is_it(members(document, "active")):
            return None
        ends = (plain(figure(one, "end")) for one in elements(document, "past") if self._is_it(one))
        end = next(ends, None)
        if end is None:
            raise Refused(FORGOTTEN)
        return end

    def _is_it(self, one: Any) -> bool:
        return bool(figure(one, "started_ms") == self.begun["started_ms"])

    def _tell_events(self) -> list[str]:
        """Print what Alertmanager has told the gate since, and was not printed yet; returns all of it."""
        kept = elements(checked(self.gate.call("GET", "/alerts")), "alerts")
        events = [
            f"Alertmanager: {WATCHED_ALERT} {plain(figure(one, 'status'))}, {plain(figure(one, 'action'))}"
            for one in reversed(kept)
            if figure(one, "alertname") == WATCHED_ALERT
            and figure(one, "received_ms") >= self.begun["started_ms"]
        ]
        for event in events:
            self._tell(event)
        return events

    def _tell(self, event: str) -> None:
        if event not in self._told:
            self._told.add(event)
            click.echo(f"{time.monotonic() - self._started:4.0f} s  {event}")
