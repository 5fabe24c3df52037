"""Starts a worker: `python -m app.workers.process`."""

import sys

from app.process.lean_start import start_lean

start_lean()

from app.workers.process.main import main  # noqa: E402  it loads structlog and httpx

sys.exit(main())
