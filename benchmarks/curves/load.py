"""The load of one point: the benchmark's raw-socket loader, a process of its own, with any number of copies.

Reads an order on its standard input, prints what it measured as JSON.
"""

import gc
import json
import os
import sys
from dataclasses import asdict, dataclass, replace
from statistics import quantiles

from benchmarks.bench.ledger import WrongAnswerError
from benchmarks.bench.loader import Load as BenchLoad
from benchmarks.bench.plan import Measure, Plan, Target
from benchmarks.curves.bodies import bodies_for
from benchmarks.curves.copies import Copies, CopiesLedger, bodies_needed
from benchmarks.curves.plan import Load


@dataclass(frozen=True)
class Loaded:
    """What the loader found."""

    measure: Measure
    p999_ms: float
    item_bytes: float
    """Of a transaction as it is sent, on average."""


class CurveLoad(BenchLoad):
    """Delivers as the benchmark's loader does; what is delivered and checked follows the point."""

    def __init__(self, load: Load, target: Target) -> None:
        plan = Plan(
            batch_items=load.batch_items,
            connections=load.connections,
            behind=(0, 0),
            warm_up_seconds=load.warm_up_seconds,
            seconds=load.seconds,
        )
        pool = bodies_for(load, bodies_needed(load.connections), int.from_bytes(os.urandom(4)))
        super().__init__(replace(plan, batch_items=1), target)  # whose own bodies are not used: few and small
        self._plan = plan
        self._item_bytes = len(pool[0].data) / load.batch_items
        copies = Copies(pool, load.copies, load.connections)
        self._deliveries = copies
        self._ledger = CopiesLedger(load.batch_items, copies.copies_of)

    def measured(self) -> Loaded:
        """Run it."""
        measure = self.run()
        took = self._took[: measure.requests]
        return Loaded(measure, percentile_ms(took, 999, 1000), self._item_bytes)


def percentile_ms(took: list[float], part: int, of: int) -> float:
    """The value below which so large a part of these seconds lies, in milliseconds."""
    cuts = quantiles(took, n=of, method="inclusive") if len(took) > 1 else took * of
    return cuts[part - 1] * 1000


def main() -> int:
    """Run the order on the standard input."""
    raw = json.load(sys.stdin)
    load = CurveLoad(Load(**raw["load"]), Target(**raw["target"]))
    gc.freeze()
    gc.disable()
    try:
        print(json.dumps(asdict(load.measured())))
    except (WrongAnswerError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
