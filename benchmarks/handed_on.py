"""Is each consumer handed everything, through kills of gates and callers and broken connections to the store?

Three feeds deliver the same transactions at full speed to two gates, and two consumers of three callers each
lease and commit them, on Valkey, Redis and a Cluster in turn (see tests/support/handed_on.py, and
tests/faults/test_consumers_killed.py, which does the same with fewer). When a gate is killed, a connection
broken or a caller befallen is drawn from the seed; which requests that meets is up to the machine.

    python -m benchmarks.handed_on --transactions 200000
    python -m benchmarks.handed_on --transactions 20000 --kills 6 valkey-cluster
"""

import asyncio
import json

from benchmarks.common.results import RESULTS, options_of, taken_here, timed, write_json
from tests.support.gate import start_program
from tests.support.handed_on import Plan, hand_on
from tests.support.servers import OVER_TCP

STORES = ["valkey", "redis", "valkey-cluster"]


def main() -> int:
    """Hand on through faults on each store; 0 when consumers got all, and nothing after its commit."""
    parser = options_of(
        __doc__, transactions=200_000, batch_items=100, lease_items=500, kills=12, cuts=3, seed=1
    )
    parser.add_argument("stores", nargs="*", help=f"of {', '.join(STORES)}; all by default")
    options = vars(parser.parse_args())
    stores, plan = options.pop("stores") or STORES, Plan(**options)
    figures: dict[str, dict[str, object]] = {}
    for name in stores:
        with timed(name), OVER_TCP[name]() as server:
            figures[name] = asyncio.run(hand_on(server, plan, start_program)).figures()
        print(name, json.dumps(figures[name], indent=2), flush=True)
    write_json(RESULTS / "handed_on.json", taken_here() | {"stores": figures})
    return 1 if any(one["failures"] for one in figures.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
