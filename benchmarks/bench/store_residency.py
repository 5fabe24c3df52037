"""How many signatures are resident while 5,000 a second come, beside 500,000 foreign keys with a long TTL?

`benchmarks.residency` at a higher rate, once: the peak of three minutes, counted ten times a second in every
signature bucket there ever was, divided by rate × window.
"""

from benchmarks.bench.result import Result
from benchmarks.residency import measure_gate, plant
from tests.support.gate import gate_process
from tests.support.servers import valkey_server

RATE, SECONDS, FOREIGN = 5000, 180, 500_000
BOUND = 1.25


def run(pairs: int, seconds: int = SECONDS) -> list[Result]:  # noqa: ARG001  three minutes are enough, once
    """The one run."""
    with valkey_server(unix=True) as server, server.nodes()[0] as node:
        plant(node, FOREIGN)
        with gate_process(store_url=server.url) as gate:
            figures = measure_gate(gate, node, RATE, seconds)
    return [
        Result(
            f"resident signatures, {RATE:,}/s for {seconds / 60:g} minutes beside {FOREIGN:,} foreign keys",
            "rate × window",
            "at most",
            BOUND,
            "×",
            [figures["peak_ratio"]],
            {"figures": figures},
            f"peak {figures['peak']:,.0f}, median {figures['median']:,.0f} of {figures['alive']:,.0f} alive; "
            f"{figures['rate_reached']:,.0f} a second reached",
        )
    ]


if __name__ == "__main__":
    print(run(1)[0])
