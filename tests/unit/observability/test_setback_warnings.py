"""Setbacks of the store are counted, logged, and a warning for an hour."""

from dataclasses import dataclass, field

from structlog.testing import capture_logs

from app.metrics.catalogue import Metrics
from app.models import MapName, WarningKey, WarningName
from app.observability.setback_warnings import WARN_SECONDS, SetbackNotes
from app.store.data_loss import Setback, SetbackKind

EMPTIED, SET_BACK = SetbackKind.EMPTIED, SetbackKind.SET_BACK


@dataclass
class Noted:
    """Notes, and a clock that a test sets."""

    now: float = 0.0
    metrics: Metrics = field(default_factory=lambda: Metrics(64, "test"))

    def __post_init__(self) -> None:
        self.notes = SetbackNotes(self.metrics, lambda: self.now)

    def figure(self, name: str, **labels: str) -> float | None:
        """Return a figure of the registry."""
        return self.metrics.registry.get_sample_value(f"tidegate_store_{name}_total", labels)


def setback(kind: SetbackKind, lost: int, partition: str = "tidegate:{0}") -> Setback:
    """A partition that has lost so many entries of each map."""
    return Setback(kind, partition, dict.fromkeys(MapName, lost))


def test_every_kind_and_map_is_at_0_before_anything_happened() -> None:
    noted = Noted()
    assert [noted.figure("setbacks", kind=kind) for kind in SetbackKind] == [0, 0, 0, 0, 0]
    assert [noted.figure("lost_entries", map=name) for name in MapName] == [0, 0, 0]
    assert noted.notes.warnings() == {}


def test_each_partition_is_counted_and_logged_with_how_much_it_lost() -> None:
    noted = Noted()
    with capture_logs() as logs:
        noted.notes.note([setback(EMPTIED, 5, "tidegate:{0}"), setback(EMPTIED, 7, "tidegate:{1}")])
    assert [noted.figure("setbacks", kind=kind) for kind in SetbackKind] == [2, 0, 0, 0, 0]
    assert noted.figure("lost_entries", map="transactions") == 12
    assert [(line["partition"], line["lost_transactions"]) for line in logs] == [
        ("tidegate:{0}", 5),
        ("tidegate:{1}", 7),
    ]


def test_the_warning_adds_up_what_was_lost_says_how_long_ago_and_ends_after_an_hour() -> None:
    noted = Noted()
    noted.notes.note([setback(SET_BACK, 5)])
    noted.now = 600
    noted.notes.note([setback(SET_BACK, 7)])
    noted.now += WARN_SECONDS - 1
    [(name, sentence)] = noted.notes.warnings().items()
    assert str(name) == "store_set_back"
    assert sentence.startswith(
        "The store was set back to an earlier state (59 min ago). Gone is what had been acknowledged, as far "
        "as is known 12 signatures, 12 transactions, 12 observations. A replica that lagged"
    )
    noted.now += 1
    assert noted.notes.warnings() == {}
    noted.notes.note([setback(SET_BACK, 1)])
    assert "is known 1 signatures" in noted.notes.warnings()[WarningKey(WarningName.STORE_SET_BACK)]


def test_each_kind_has_a_warning_of_its_own() -> None:
    noted = Noted()
    noted.notes.note([setback(kind, 1) for kind in SetbackKind])
    assert {str(key) for key in noted.notes.warnings()} == {f"store_{kind}" for kind in SetbackKind}


def test_by_how_much_a_clock_was_set_is_in_the_log() -> None:
    noted = Noted()
    with capture_logs() as logs:
        noted.notes.note([setback(EMPTIED, 5), Setback(SetbackKind.CLOCK_BACK, "tidegate:{0}", {}, -3_500)])
    assert [line.get("clock_moved_seconds") for line in logs] == [None, -3.5]
