"""Keeps libraries that a process of the service never uses out of its memory."""

import sys


def leave_out_rich() -> None:
    """Let imports of `rich` and `pygments` fail in this process; to be called before they are tried.

    structlog and httpx load them where they are installed, 4 MB a process, and the service draws nothing.
    None is Python's documented way to say that a module is not to be found.
    """
    sys.modules.update({"rich": None, "pygments": None})  # type: ignore[dict-item]
