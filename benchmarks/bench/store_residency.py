"""How many signatures are resident while 5,000 a second come, beside 500,000 foreign keys with a long TTL?

`benchmarks.residency` at a higher rate, once: the peak of three minutes, counted ten times a second in every
signature bucket there ever was, divided by rate × window.
"""

from benchmarks.bench.result import Result
from benchmarks.residency import measure_gate
from tests.support.servers import valkey_server

RATE, SECONDS, FOREIGN = 5000, 180, 500_000
BOUND = 1.25


def run(pairs: int, seconds: int = SECONDS) -> list[Result]:  # noqa: ARG001  three minutes are enough, once
    """Run it once, whatever the number of pairs."""
    with valkey_server(unix=True) as server:
        found = measure_gate(server, RATE, seconds, FOREIGN)
    work = f"resident signatures, {RATE:,}/s for {seconds / 60:g} minutes beside {FOREIGN:,} foreign keys"
    remark = (
        f"peak {found['peak']:,.0f}, median {found['median']:,.0f} of {found['alive']:,.0f} alive; "
        f"{found['rate_reached']:,.0f} a second reached"
    )
    measured, details = [found["peak_ratio"]], {"figures": found}
    return [Result(work, "rate × window", "at most", BOUND, "×", measured, {**details}, remark)]
