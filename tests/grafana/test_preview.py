"""The picture of a dashboard's data: values read as in the dashboard, every panel drawn."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from grafana.preview import sheet
from grafana.preview.sheet import COLOURS, Series, Sheet, draw, said
from grafana.preview.units import in_unit
from tests.support.dashboards import FOLDER, panels, read

OVERVIEW = read(FOLDER / "overview.json")
PNG = b"\x89PNG\r\n"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.9, "percentunit", "90 %"),
        (0.25, "s", "250 ms"),
        (2.5, "s", "2.5 s"),
        (3 * 2**20, "bytes", "3 MiB"),
        (1500, "cps", "1.5 k/s"),
        (0, "none", "0"),
    ],
)
def test_values_are_written_in_the_unit_of_the_panel(value: float, unit: str, text: str) -> None:
    assert in_unit(value, unit) == text


@pytest.mark.parametrize(
    ("title", "value", "text", "colour"),
    [
        ("Store", 0, "DOWN", "red"),
        ("Store", 1, "up", "green"),
        ("Alerts firing", 2, "2", "orange"),
        ("Failing", 0.0005, "0.05 %", "green"),
        ("Failing", 0.002, "0.2 %", "orange"),
        ("Failing", 0.5, "50 %", "red"),
        ("Failing", None, "no traffic", "text"),
    ],
)
def test_single_values_have_the_words_and_colours_of_the_dashboard(
    title: str, value: float | None, text: str, colour: str
) -> None:
    panel = next(one for one in panels(OVERVIEW) if one["title"] == title)
    assert said(panel, value) == (text, COLOURS[colour])


def test_every_panel_is_drawn_with_and_without_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "DPI", 30)
    course = [(float(at), at % 3 / 2) for at in range(20)]
    filled = [
        [Series(target["legendFormat"], course) for target in panel.get("targets", [])]
        for panel in OVERVIEW["panels"]
    ]
    for name, series in (("filled.png", filled), ("empty.png", [[] for _ in filled])):
        both = list(zip(OVERVIEW["panels"], series, strict=True))
        draw(Sheet("title", both, {"before": 5, "after": 19}, (6, 9), [8]), tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(PNG)
    assert (tmp_path / "filled.png").stat().st_size > (tmp_path / "empty.png").stat().st_size


@pytest.mark.parametrize(("begins", "colour"), [(0.0, "white"), (30.0, COLOURS["text"])])
def test_the_name_of_a_bar_can_be_read_also_where_the_bar_begins_later(begins: float, colour: str) -> None:
    panel = next(one for one in panels(OVERVIEW) if one["title"] == "Warnings")
    axes = Figure().add_subplot()
    stands = Series("memory_pressure", [(begins, 1.0), (begins + 9, 1.0)])
    sheet.KINDS["state-timeline"](axes, panel, [stands], Sheet("", [], {"after": 60}, (0, 9), []))
    [name] = axes.get_yticklabels()
    assert (name.get_text(), name.get_color()) == ("memory_pressure", colour)
