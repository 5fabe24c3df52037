"""Leak investigation: which process grew, what explains it, what the guard did and what came of it."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from grafana.frame import frame
from grafana.panels import About, Builder, Query, figure, lines, states, words
from grafana.promql import RATE, SCOPE, gauge, increase, largest, select, smallest, times, total
from grafana.rows.maps import held_bytes
from grafana.rows.memory import LEVELS, STATE_WORDS, state_number
from grafana.rows.traffic import requests_under_way
from grafana.style import MAPS, PROCESSES, Alarm

OF = 'process=~"$process"'
EACH = "{{instance}} {{process}}"
PROCESS = ("namespace", "job", "instance", "process")
WARMUP = 'state="warmup"'
ACTIONS = {
    "gc": "blue",
    "trim": "green",
    "shrink": "yellow",
    "emergency_cleanup": "orange",
}
TIERS = {"rule": "red", "fast": "orange", "slow": "yellow", "daily": "blue"}


def leak() -> dashboard.Dashboard:
    """The dashboard of one growing process."""
    board = frame(
        "tidegate-leak",
        "Tidegate / Leak investigation",
        "Which process grew, whether its maps and requests explain it, what the guard did, what came back.",
        f"process=label_values(tidegate_memory_rss_bytes{{{SCOPE}}}, process)",
    )
    board.with_variable(_window())
    sections = (("Growth", _growth), ("What explains it", _explained), ("What was done", _done))
    for panel in _summary():
        board.with_panel(panel)
    for title, panels in sections:
        board.with_row(dashboard.Row(title))
        for panel in panels():
            board.with_panel(panel)
    return board


def _window() -> dashboard.IntervalVariable:
    values = dashboard.IntervalVariable("ago").label("Compare with")
    return values.values("5m,1m,15m,1h,6h,1d").current(models.VariableOption(text="5m", value="5m"))


def _summary() -> Iterator[Builder]:
    yield figure(
        About(
            "Suspected",
            "Whether the guard suspects a process, from the suspicion until the growth is over.",
            "none",
            (Alarm("TidegateLeakSustained"),),
        ),
        Query(largest(gauge("leak_suspected", OF)), "suspected"),
        width=4,
        words=words(_0=("none", "green"), _1=("SUSPECTED", "orange")),
        graph=False,
    )
    yield figure(
        About(
            "Guard reads memory",
            "Whether every reading the guard needs works, on every gate.",
            "none",
            (Alarm("TidegateGuardDisabled"),),
        ),
        Query(smallest(gauge("guard_up")), "reads"),
        width=4,
        words=words(_0=("NO", "orange"), _1=("yes", "green")),
        graph=False,
    )
    yield figure(
        About(
            "Guard acts",
            "Whether the guard still acts on every process, or has found that acting does not help.",
            "none",
            (Alarm("TidegateGuardIneffective"),),
        ),
        Query(largest(gauge("guard_ineffective", OF)), "given up"),
        width=4,
        words=words(_0=("yes", "green"), _1=("GAVE UP", "orange")),
        graph=False,
    )
    yield figure(
        About(
            "Detections",
            "Leaks detected and confirmed within the time range, by any tier.",
            alarms=(Alarm("TidegateLeakConfirmed"),),
        ),
        Query(times("leak_detections_total", OF, within="$__range"), "detections"),
        width=4,
        graph=False,
        colour="text",
    )
    yield figure(
        About("Actions", "Actions of the guard within the time range."),
        Query(times("guard_actions_total", OF, within="$__range"), "actions"),
        width=4,
        graph=False,
        colour="text",
    )
    yield figure(
        About("Came back", "Resident bytes that came back with actions within the time range.", "bytes"),
        Query(total(increase("memory_released_bytes_total", within="$__range")), "bytes"),
        width=4,
        graph=False,
        colour="text",
    )


def _growth() -> Iterator[Builder]:
    yield lines(
        About(
            "Resident memory",
            "Of each process. Bursts come and go; what stays afterwards is growth.",
            "bytes",
        ),
        Query(gauge("memory_rss_bytes", OF), EACH),
        width=12,
    )
    yield lines(
        About(
            "Floors",
            "The least of each block of time, which bursts do not raise. A leak lifts every floor.",
            "bytes",
        ),
        Query(gauge("memory_floor_bytes", OF), EACH),
        width=12,
        low=None,
    )
    resident = gauge("memory_rss_bytes", OF)
    yield lines(
        About(
            "Resident memory, now less $ago ago",
            "What the alerts judge, over 5 minutes: bursts and maps that fill are in it.",
            "bytes",
            (
                Alarm("TidegateLeakSuspected", line="threshold"),
                Alarm("TidegateStoreLeakSuspected", line="threshold"),
            ),
        ),
        Query(f"{resident} - {resident} offset $ago", EACH),
        Query(smallest(gauge("memory_growth_threshold_bytes")), "threshold"),
        limits=("threshold",),
        low=None,
    )
    yield lines(
        About(
            "Growth of the floors",
            "What the guard judges: within the leak window, less what maps and requests explain.",
            "bytes",
            (Alarm("TidegateLeakSuspected", line="threshold"),),
        ),
        Query(gauge("memory_growth_bytes", OF), EACH),
        Query(smallest(gauge("memory_growth_threshold_bytes")), "threshold"),
        limits=("threshold",),
        low=None,
    )
    yield lines(
        About(
            "Slope, bytes an hour",
            "The trend of the floors, less what is explained. The alert asks for 8 MiB in each of two hours, "
            "while the maps are flat.",
            "bytes",
            (Alarm("TidegateSlowLeak", 8 * 1024 * 1024),),
        ),
        Query(gauge("memory_slope_bytes_per_hour", OF), EACH),
        low=None,
    )


def _explained() -> Iterator[Builder]:
    yield lines(
        About(
            "Explained",
            "Memory that is accounted for: data of the maps in the store, requests under way in the gate.",
            "bytes",
        ),
        Query(gauge("memory_explained_bytes", OF), "{{instance}} {{process}}: {{part}}"),
    )
    explained = total(gauge("memory_explained_bytes", OF), *PROCESS)
    on, warms_up = f"on ({', '.join(PROCESS)})", f"{gauge('guard_state', OF, WARMUP)} == 1"
    unexplained = f"{gauge('memory_rss_bytes', OF)} - {on} {explained} unless {on} {warms_up}"
    yield lines(
        About(
            "Not explained, since the warm-up",
            "How far what is not accounted for is above the least that it was in the time range, after the "
            "warm-up: a leak if there is one, and what the allocator does not give back.",
            "bytes",
        ),
        Query(f"({unexplained}) - min_over_time(({unexplained})[$__range:$__rate_interval] @ end())", EACH),
    )
    yield held_bytes()
    yield lines(
        About("Entries", "If the maps are flat while memory grows, they are not the reason."),
        Query(largest(gauge("map_entries"), "map"), "{{map}}"),
        colours=MAPS,
    )
    yield lines(
        About("Held by the allocator", "Freed by the program, not given back to the system.", "bytes"),
        Query(gauge("memory_allocator_held_bytes", OF), EACH),
    )
    yield lines(
        About(
            "In use of the allocator",
            "What the program holds of `malloc`: a leak shows, whatever the allocator keeps.",
            "bytes",
        ),
        Query(gauge("memory_allocator_live_bytes", OF), EACH),
    )
    yield lines(
        About(
            "Blocks of Python",
            "What CPython's own allocator has handed out: small objects and parts of such.",
        ),
        Query(gauge("python_allocated_blocks", OF), EACH),
    )
    yield lines(
        About(
            "Garbage a second",
            "Objects in cycles, collected in the process `gate`, by generation: requests leave none. What is "
            "uncollectable leaks.",
            "cps",
        ),
        Query(total(_of_gc("objects_collected"), "generation"), "generation {{generation}}"),
        Query(total(_of_gc("objects_uncollectable")), "uncollectable"),
        colours={"uncollectable": "red"},
    )
    yield lines(
        About("Connections, tasks and files", "Of all gates. What only ever rises is what leaks."),
        Query(total(gauge("connections")), "connections"),
        Query(total(gauge("asyncio_tasks")), "tasks"),
        Query(total(gauge("open_fds")), "open files"),
        colours={"connections": "blue", "tasks": "green", "open files": "purple"},
    )
    yield requests_under_way(width=8)
    yield lines(
        About(
            "Store: used and resident", "What lies between them is fragmentation and the program.", "bytes"
        ),
        Query(largest(gauge("store_used_bytes")), "used"),
        Query(largest(gauge("store_rss_bytes")), "resident"),
        colours={"used": "blue", "resident": PROCESSES["store"]},
    )
    yield lines(
        About(
            "Store: resident to used",
            "Far above 1.5 for long: fragmented, or nearly empty.",
            "none",
        ),
        Query(largest(gauge("store_fragmentation_ratio")), "ratio"),
        colours={"ratio": PROCESSES["store"]},
    )


def _of_gc(what: str) -> str:
    return f"rate({select(f'python_gc_{what}_total')}[{RATE}])"


def _done() -> Iterator[Builder]:
    yield states(
        About(
            "Guard, by process",
            "What it thought of each process.",
            "none",
            (Alarm("TidegateGuardIneffective"),),
        ),
        Query(f"sum by (instance, process) ({state_number(OF)})", EACH),
        words=STATE_WORDS,
    )
    yield states(
        About(
            "Pressure level",
            "`soft`: emergency cleanups. `hard`: every transaction is answered 503.",
            "none",
            (Alarm("TidegateMemoryPressureHard"),),
        ),
        Query(gauge("memory_pressure_level")),
        words=LEVELS,
    )
    yield lines(
        About(
            "Detections, by tier",
            "Leaks detected and confirmed: by the replaced system's rule, or by a trend.",
            "none",
        ),
        Query(times("leak_detections_total", OF, by=("tier",)), "{{tier}}"),
        width=6,
        colours=TIERS,
        bars=True,
    )
    yield lines(
        About("Actions, by kind", "What the guard did, and how often.", "none"),
        Query(times("guard_actions_total", OF, by=("process", "action")), "{{process}}: {{action}}"),
        width=6,
        bars=True,
    )
    yield lines(
        About("Came back, by action", "Resident bytes that came back with each action.", "bytes"),
        Query(total(increase("memory_released_bytes_total"), "action"), "{{action}}"),
        width=6,
        colours=ACTIONS,
        bars=True,
    )
    yield lines(
        About("Readings not used", "Readings of memory that made no sense, by reason.", "none"),
        Query(times("memory_samples_discarded_total", by=("reason",)), "{{reason}}"),
        width=6,
        bars=True,
    )
