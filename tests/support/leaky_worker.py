"""The real gate, one of two workers leaking: `python -m tests.support.leaky_worker KIND BYTES_PER_SECOND`."""

import os
import sys

import app.cli.serve
import app.workers.pool.worker
import app.workers.process.main
from app.settings.model import Settings
from app.workers.pool.worker_config import WorkerConfig
from app.workers.process.parts import WorkerParts
from tests.support.leaks import LEAKS, Planted

LEAKS_IN = "worker-1"
AS_WORKER = "as-worker"


class LeakingParts(WorkerParts):
    """Parts of a worker that leak from the moment it takes traffic, in one of the workers."""

    def __init__(self, config: WorkerConfig, settings: Settings) -> None:
        super().__init__(config, settings)
        self._name = config.name

    async def start(self) -> None:
        """Start the parts, and the leak."""
        await super().start()
        if self._name == LEAKS_IN:
            Planted(LEAKS[sys.argv[1]](self), float(sys.argv[2])).start(self._tasks)


def main() -> int:
    """Serve; the workers run this very module."""
    if AS_WORKER in sys.argv:
        app.workers.process.main.WorkerParts = LeakingParts  # type: ignore[attr-defined]  # where `main` looks it up
        return app.workers.process.main.main()
    command = (sys.executable, "-m", "tests.support.leaky_worker", *sys.argv[1:], AS_WORKER)
    app.workers.pool.worker.COMMAND = command  # type: ignore[assignment]  # longer than the usual one
    return app.cli.serve.run({"workers": 2}, insecure=False)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)
