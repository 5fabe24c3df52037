"""What the dashboards share: variables, annotations, links, time range."""

from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from grafana.panels import SOURCE
from grafana.promql import gauge, increase, total

TAG = "tidegate"
IN_NAMESPACE = 'namespace=~"$namespace"'
ALL = models.VariableOption(text="All", value="$__all", selected=True)


class Annotation(dashboard.AnnotationQuery):
    """An annotation from Prometheus with a title and a text of its own, which the SDK has no fields for."""

    def __init__(self, name: str, colour: str, expression: str, title: str, text: str) -> None:
        super().__init__()
        self.name(name).datasource(SOURCE).icon_color(colour).expr(expression).enable(True)
        self._texts = {"titleFormat": title, "textFormat": text, "step": "15s"}

    def build(self) -> models.AnnotationQuery:
        """The annotation as Grafana's Prometheus data source reads it."""
        return _AnnotationWithText(super().build(), self._texts)


class _AnnotationWithText(models.AnnotationQuery):
    def __init__(self, plain: models.AnnotationQuery, texts: dict[str, str]) -> None:
        super().__init__(**vars(plain))
        self._texts = texts

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), **self._texts}


def frame(uid: str, title: str, description: str, *filters: str) -> dashboard.Dashboard:
    """A dashboard without panels; `filters` are variables beside namespace, job, instance: `label=query`."""
    board = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(_others())
        .with_variable(_data_source())
        .with_variable(_labels("namespace", "label_values(tidegate_build_info, namespace)").all_value(".*"))
        .with_variable(_labels("job", f"label_values(tidegate_build_info{{{IN_NAMESPACE}}}, job)"))
        .with_variable(
            _labels("instance", f'label_values(tidegate_build_info{{{IN_NAMESPACE}, job=~"$job"}}, instance)')
        )
    )
    for name, query in (one.split("=", 1) for one in filters):
        board.with_variable(_labels(name, query))
    for annotation in _annotations():
        board.annotation(annotation)
    return board


def _data_source() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _labels(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(name.title())
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(ALL)
    )


def _others() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Tidegate")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )


def _annotations() -> tuple[Annotation, ...]:
    # Longer than a step, whatever the time range is, so that no start falls between two points.
    restarts = f"time() - {gauge('start_time_seconds')} < bool 15 + $__range_s / 100"
    cleanups = total(increase("cleanup_runs_total", 'trigger!="periodic"'), "instance", "trigger", "mode")
    detections = increase("leak_detections_total")
    return (
        Annotation("Restarts", "purple", f"({restarts}) == 1", "Restart", "{{instance}} started"),
        Annotation(
            "Cleanups",
            "orange",
            f"{cleanups} > 0",
            "Cleanup",
            "{{mode}}, asked for by {{trigger}}",
        ),
        Annotation("Drills", "blue", f"{gauge('drill_active')} == 1", "Drill", "{{drill}} on {{instance}}"),
        Annotation("Detections", "red", f"{detections} > 0", "Leak", "{{process}}, found by {{tier}}"),
    )
