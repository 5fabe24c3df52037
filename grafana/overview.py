"""The Overview: is it healthy, is traffic flowing, is memory flat; then each part by itself."""

from grafana_foundation_sdk.builders import dashboard

from grafana.frame import frame
from grafana.rows import cleanup, consumers, health, maps, memory, process, store, traffic

SECTIONS = (
    ("Traffic", traffic.panels),
    ("Consumers", consumers.panels),
    ("Memory", memory.panels),
    ("Maps", maps.panels),
    ("Cleanup", cleanup.panels),
    ("Store", store.panels),
    ("Gate", process.panels),
)


def overview() -> dashboard.Dashboard:
    """The dashboard that is opened first."""
    board = frame(
        "tidegate-overview",
        "Tidegate / Overview",
        "Is the gate healthy, is traffic flowing, is memory flat: the first row says it, the others why.",
    )
    for panel in health.panels():
        board.with_panel(panel)
    for title, panels in SECTIONS:
        board.with_row(dashboard.Row(title))
        for panel in panels():
            board.with_panel(panel)
    return board
