"""Is memory flat, how near is it to its limit, and what does the guard think."""

from collections.abc import Iterator

from grafana.panels import About, Builder, Query, lines, states, words
from grafana.promql import gauge, largest, smallest
from grafana.style import GUARD_STATES, PROCESSES, Alarm

LEVELS = words(_0=("normal", "green"), _1=("soft", "orange"), _2=("hard", "red"))
STATE_WORDS = words(**{f"_{at}": (name, colour) for at, (name, colour) in enumerate(GUARD_STATES.items())})


def state_number(*matchers: str) -> str:
    """The state of each process as its place in GUARD_STATES: one series for a timeline."""
    states_of = (gauge("guard_state", f'state="{name}"', *matchers) for name in GUARD_STATES)
    return " + ignoring (state) ".join(f"{at} * {one}" for at, one in enumerate(states_of))


def panels() -> Iterator[Builder]:
    """Bytes against the limit, growth against the threshold, then the guard's judgement."""
    yield lines(
        About(
            "Resident memory against the limit",
            "Of each kind of process the largest. `counted` is what is compared with the limit; the limit is "
            "drawn once a tenth of it is in use.",
            "bytes",
        ),
        Query(largest(gauge("memory_rss_bytes"), "process"), "{{process}}"),
        Query(largest(gauge("memory_pressure_bytes")), "counted"),
        Query(
            f"{smallest(gauge('memory_limit_bytes'))} < 10 * {largest(gauge('memory_pressure_bytes'))}",
            "limit",
        ),
        width=12,
        colours={**PROCESSES, "counted": "purple"},
        limits=("limit",),
    )
    yield lines(
        About(
            "Memory of limit",
            "By default the guard cleans up from 75 % on, and transactions are refused from 90 % on.",
            "percentunit",
            (Alarm("TidegateMemoryNearLimit", 0.8), Alarm("TidegateMemoryLimitPredicted")),
        ),
        Query(f"{gauge('memory_pressure_bytes')} / {gauge('memory_limit_bytes')}"),
        width=6,
        high=1,
    )
    yield lines(
        About(
            "Growth against the threshold",
            "Growth of the floors that maps and requests do not explain. The alerts judge "
            "resident memory itself; Leak investigation shows that.",
            "bytes",
            (
                Alarm("TidegateLeakSuspected", line="threshold"),
                Alarm("TidegateStoreLeakSuspected", line="threshold"),
            ),
        ),
        Query(largest(gauge("memory_growth_bytes"), "process"), "{{process}}"),
        Query(smallest(gauge("memory_growth_threshold_bytes")), "threshold"),
        width=6,
        colours=PROCESSES,
        limits=("threshold",),
        low=None,
    )
    yield states(
        About(
            "Guard, by process",
            "What the guard thinks of each process. `ineffective` stays until an operator resets it.",
            "none",
            (Alarm("TidegateGuardIneffective"), Alarm("TidegateLeakSustained")),
        ),
        Query(largest(state_number(), "process"), "{{process}}"),
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
