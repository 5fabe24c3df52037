"""The kinds of panel the dashboards are made of, in one style."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models

from grafana.style import GOOD, LIMIT, NEUTRAL, Alarm, Colours

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
HEIGHT = 8
STRIP_HEIGHT = 4
WIDE = 12
Property = models.DynamicConfigValue
Builder = timeseries.Panel | stat.Panel | statetimeline.Panel
AnyBuilder = TypeVar("AnyBuilder", timeseries.Panel, stat.Panel, statetimeline.Panel)


@dataclass(frozen=True)
class Query:
    """One expression and how its series are called."""

    expression: str
    legend: str = "{{instance}}"


@dataclass(frozen=True)
class About:
    """What every panel has to say: title, what it means, the unit of its values, the alerts it shows."""

    title: str
    text: str
    unit: str = "short"
    alarms: tuple[Alarm, ...] = ()

    @property
    def description(self) -> str:
        """The text, then a line for each alert."""
        return "\n\n".join((self.text, *(alarm.sentence() for alarm in self.alarms)))


def lines(  # noqa: PLR0913  what can differ between two graphs, each with a default
    about: About,
    *queries: Query,
    width: int = 8,
    colours: Colours | None = None,
    limits: Iterable[str] = (),
    low: float | None = 0,
    high: float | None = None,
    stacked: bool = False,
    bars: bool = False,
) -> timeseries.Panel:
    """A graph over time. `limits` are the legends of lines that are not to be crossed: dashed."""
    style = options.GraphDrawStyle.BARS if bars else options.GraphDrawStyle.LINE
    panel = (
        _begin(timeseries.Panel(), about, queries, width, HEIGHT)
        .legend(_legend(width))
        .tooltip(_tooltip())
        .color_scheme(_by(models.FieldColorModeId.PALETTE_CLASSIC))
        .draw_style(style)
        .line_width(1)
        .fill_opacity(60 if bars else 25 if stacked else 8)
        .show_points(options.VisibilityMode.NEVER)
        .span_nulls(False)
        .thresholds(_thresholds(about.alarms))
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(_threshold_lines(about.alarms)))
    )
    if stacked or bars:
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    for name, colour in (colours or {}).items():
        panel.override_by_name(name, [_fixed(colour)])
    for name in limits:
        panel.override_by_name(name, _dashed())
    return _bounded(panel, low, high)


def figure(  # noqa: PLR0913  as above
    about: About,
    query: Query,
    *,
    width: int = 3,
    height: int = STRIP_HEIGHT,
    words: Sequence[models.ValueMapping] = (),
    graph: bool = True,
    empty: str = "-",
    colour: str = GOOD,
    low: float | None = None,
) -> stat.Panel:
    """The latest value, large, with its recent course behind it; `words` stand for values."""
    mode = options.BigValueGraphMode.AREA if graph else options.BigValueGraphMode.NONE
    tint = options.BigValueColorMode.BACKGROUND if words else options.BigValueColorMode.VALUE
    panel = (
        _begin(stat.Panel(), about, (query,), width, height)
        .color_scheme(_by(models.FieldColorModeId.THRESHOLDS))
        .graph_mode(mode)
        .color_mode(tint)
        .text_mode(options.BigValueTextMode.VALUE)
        .justify_mode(options.BigValueJustifyMode.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .mappings(list(words))
        .no_value(empty)
        .thresholds(_thresholds(about.alarms, base=colour))
    )
    return _bounded(panel, low, None)


def states(
    about: About, *queries: Query, words: Sequence[models.ValueMapping], width: int = 12, height: int = 6
) -> statetimeline.Panel:
    """Bars that say over time which of a few states held."""
    return (
        _begin(statetimeline.Panel(), about, queries, width, height)
        .legend(common.VizLegendOptions().show_legend(False).display_mode(options.LegendDisplayMode.LIST))
        .tooltip(_tooltip())
        .color_scheme(_by(models.FieldColorModeId.THRESHOLDS))
        .mappings(list(words))
        .show_value(options.VisibilityMode.NEVER)
        .row_height(0.8)
        .merge_values(True)
        .thresholds(_thresholds((), base=NEUTRAL))
    )


def words(**by_value: tuple[str, str]) -> list[models.ValueMapping]:
    """Text and colour for whole values: `words(_0=("down", "red"))`."""
    results = {
        name.removeprefix("_"): models.ValueMappingResult(text=text, color=colour, index=index)
        for index, (name, (text, colour)) in enumerate(by_value.items())
    }
    return [models.ValueMap(options=results)]


def at_least(value: float, text: str | None, colour: str) -> models.ValueMapping:
    """Colour, and text where given, for this value and all above it."""
    result = models.ValueMappingResult(text=text, color=colour, index=1)
    return models.RangeMap(options=models.DashboardRangeMapOptions(from_val=value, to=None, result=result))


def _begin(panel: AnyBuilder, about: About, queries: Sequence[Query], width: int, height: int) -> AnyBuilder:
    panel.title(about.title).description(about.description).datasource(SOURCE)
    panel.unit(about.unit).span(width).height(height)
    for place, query in enumerate(queries):
        panel.with_target(
            prometheus.Dataquery()
            .ref_id(chr(ord("A") + place))
            .datasource(SOURCE)
            .expr(query.expression)
            .legend_format(query.legend)
            .range()
        )
    return panel


AnyGraph = TypeVar("AnyGraph", timeseries.Panel, stat.Panel)


def _bounded(panel: AnyGraph, low: float | None, high: float | None) -> AnyGraph:
    if low is not None:
        panel.min(low)
    if high is not None:
        panel.max(high)
    return panel


def _legend(width: int) -> common.VizLegendOptions:
    wide = width >= WIDE
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(options.LegendDisplayMode.TABLE if wide else options.LegendDisplayMode.LIST)
        .placement(options.LegendPlacement.RIGHT if wide else options.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"] if wide else ["lastNotNull"])
    )


def _tooltip() -> common.VizTooltipOptions:
    return (
        common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING)
    )


def _thresholds(alarms: Sequence[Alarm], base: str = GOOD) -> dashboard.ThresholdsConfig:
    """Steps from low to high; one that is crossed downwards colours what lies below it."""
    numbered = sorted((alarm for alarm in alarms if alarm.at is not None), key=lambda alarm: alarm.at or 0)
    below = [alarm for alarm in numbered if alarm.below]
    steps = [models.Threshold(value=None, color=below[0].colour if below else base)]
    steps += [models.Threshold(value=a.at, color=base if a.below else a.colour) for a in numbered]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _threshold_lines(alarms: Sequence[Alarm]) -> options.GraphThresholdsStyleMode:
    drawn = any(alarm.at is not None for alarm in alarms)
    return options.GraphThresholdsStyleMode.DASHED if drawn else options.GraphThresholdsStyleMode.OFF


def _by(mode: models.FieldColorModeId) -> dashboard.FieldColor:
    return dashboard.FieldColor().mode(mode)


def _fixed(colour: str) -> Property:
    return Property(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def _dashed() -> list[Property]:
    return [
        _fixed(LIMIT),
        Property(id_val="custom.lineStyle", value={"fill": "dash", "dash": [10, 10]}),
        Property(id_val="custom.fillOpacity", value=0),
    ]
