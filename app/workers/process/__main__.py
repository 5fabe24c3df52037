"""Starts a worker: `python -m app.workers.process`."""

import sys

from app.process.left_out import leave_out_rich

leave_out_rich()

from app.workers.process.main import main  # noqa: E402  it loads structlog and httpx

sys.exit(main())
