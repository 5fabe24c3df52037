"""The gate's own process, what was asked of it, and the alerts over time."""

from collections.abc import Iterator

from grafana.panels import About, Builder, Query, figure, lines, states, words
from grafana.promql import gauge, increase, largest, quantile, rate, smallest, total
from grafana.rows.health import firing
from grafana.style import Alarm

ACTIONS = {
    "cleanup": "orange",
    "ignored": "text",
    "duplicate": "blue",
    "cooldown": "purple",
    "invalid": "red",
    "resolved": "green",
}


def panels() -> Iterator[Builder]:
    """Busy, working, restarted, its workers, asked; then the warnings and the alerts."""
    yield from _work()
    yield from _limits()
    yield from _workers()
    yield from _asked()
    yield states(
        About("Warnings", "Each warning of a gate while it stands; `GET /stats` says what to do."),
        Query(f"{largest(gauge('warning'), 'warning')} > 0", "{{warning}}"),
        words=words(_1=("stands", "orange")),
        height=8,
    )
    yield states(
        About("Alerts", "Each alert of Tidegate while it fires; red: it is critical.", "none"),
        Query(largest(firing("warning"), "alertname"), "{{alertname}}"),
        Query("2 * " + largest(firing("critical"), "alertname"), "{{alertname}}"),
        words=words(_1=("firing", "orange"), _2=("critical", "red")),
        height=8,
    )


def _work() -> Iterator[Builder]:
    yield lines(
        About(
            "Event loop lag, p99",
            "How late timers are: everything the gate does waits that long.",
            "s",
            (Alarm("TidegateEventLoopLag", 0.25),),
        ),
        Query(quantile(0.99, "event_loop_lag_seconds", by=("instance",)), "{{instance}}"),
    )
    yield states(
        About(
            "Background tasks",
            "Whether the last run of each task succeeded, on every gate.",
            "none",
            (Alarm("TidegateBackgroundTaskDown"),),
        ),
        Query(smallest(gauge("background_task_up"), "task"), "{{task}}"),
        words=words(_0=("failed", "red"), _1=("works", "green")),
        width=10,
        height=8,
    )
    yield figure(
        About(
            "Up for",
            "Since the gate that started last has started.",
            "dtdurations",
            (Alarm("TidegateBuildsDiffer"),),
        ),
        Query(smallest(f"time() - {gauge('start_time_seconds')}"), "up for"),
        height=8,
        graph=False,
        colour="text",
    )
    yield figure(
        About(
            "Starts, 30 m",
            "How often the gate that restarted most has started again.",
            alarms=(Alarm("TidegateRestarting", 2),),
        ),
        Query(largest(f"changes({gauge('start_time_seconds')}[30m])"), "starts"),
        height=8,
        graph=False,
        low=0,
    )


def _limits() -> Iterator[Builder]:
    each = "{{instance}} {{process}}"
    yield lines(
        About(
            "CPU, of one core",
            "Of each process. The event loop has one thread, so a gate without workers can use one core.",
            "percentunit",
            (Alarm("TidegateCpuSaturated", 0.95),),
        ),
        Query(rate("cpu_seconds_total"), each),
    )
    yield lines(
        About(
            "Connections, of their limit",
            "Connections of clients; past the limit a further one is answered 503 and closed.",
            "percentunit",
            (Alarm("TidegateConnectionsNearLimit", 0.9),),
        ),
        Query(f"{gauge('connections')} / {gauge('max_connections')}", each),
        high=1,
    )
    yield lines(
        About(
            "Open files and sockets, of their limit",
            "Without a descriptor no connection can be taken, and no file of tokens read.",
            "percentunit",
            (Alarm("TidegateDescriptorsNearLimit", 0.9),),
        ),
        Query(f"{gauge('open_fds')} / {gauge('max_fds')}", each),
        high=1,
    )
    yield lines(
        About(
            "Under way, of their limits",
            "Requests not answered yet, and the bytes of their bodies, in the process nearest to its limit. "
            "Past it a request is answered 503; with little memory left the limit of bodies falls.",
            "percentunit",
        ),
        Query(_of_limit("in_flight_requests"), "requests"),
        Query(_of_limit("in_flight_bytes"), "bytes"),
        width=12,
        colours={"requests": "blue", "bytes": "purple"},
        high=1,
    )
    yield lines(
        About(
            "Waiting for the store, of their limits",
            "Transactions that wait for the store or are being stored, and their payloads, in the process "
            "nearest to its limit. Past it a request is answered 503.",
            "percentunit",
        ),
        Query(_of_limit("queued_items"), "transactions"),
        Query(_of_limit("queued_bytes"), "bytes"),
        width=12,
        colours={"transactions": "green", "bytes": "purple"},
        high=1,
    )


def _of_limit(held: str) -> str:
    return largest(f"{gauge(held)} / {gauge(f'max_{held}')}")


def _workers() -> Iterator[Builder]:
    yield lines(
        About(
            "Workers missing",
            "Of each gate with several workers, those that should be up and are not.",
            alarms=(Alarm("TidegateWorkersDown"),),
        ),
        Query(f"{gauge('workers')} - {gauge('workers_up')}"),
        width=12,
    )
    yield lines(
        About(
            "Workers started again, 15 m",
            "By each gate: workers that had ended, or been ended because they did not answer.",
            alarms=(Alarm("TidegateWorkersRestarting", 3),),
        ),
        Query(f"round({increase('worker_restarts_total', within='15m')})"),
        width=12,
    )


def _asked() -> Iterator[Builder]:
    yield lines(
        About(
            "Alerts received a minute, by what was done",
            "Calls of POST /alerts; `cleanup` had a cleanup run, the others did not.",
            "cpm",
        ),
        Query("60 * " + total(rate("alerts_received_total"), "action"), "{{action}}"),
        width=12,
        colours=ACTIONS,
        bars=True,
    )
    yield lines(
        About(
            "Settings changed a minute",
            "`api`: by a request to this gate. `store`: another gate's change, taken over.",
            "cpm",
        ),
        Query("60 * " + total(rate("settings_changes_total"), "source"), "{{source}}"),
        width=12,
        colours={"api": "blue", "store": "green"},
        bars=True,
    )
