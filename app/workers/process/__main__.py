"""Starts a worker: `python -m app.workers.process`."""

import sys

# structlog and httpx load these where they are installed, 4 MB a process, and a worker draws nothing. None is
# Python's documented way to say that a module is not to be found.
sys.modules.update({"rich": None, "pygments": None})  # type: ignore[dict-item]

from app.workers.process.main import main  # noqa: E402  it loads both

sys.exit(main())
