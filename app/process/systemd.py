"""What systemd is told of this process, which runs as a service of `Type=notify`: see sd_notify(3).

Ready, stopping, and, with `WatchdogSec=`, alive: each is a datagram to a socket that systemd names in
`NOTIFY_SOCKET`, such as `READY=1`. Under another supervisor there is none, and nothing is told.
"""

import os
import socket

import structlog

log = structlog.get_logger()

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"


def notify(state: str) -> None:
    """Tell systemd, if it wants to know, one of the states above. Never waits; a failure is a log line."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    name = f"\0{address[1:]}" if address.startswith("@") else address  # "@" stands for an abstract socket
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto(state.encode(), name)
    except OSError as error:
        log.warning("systemd was not told", state=state, address=address, error=str(error))


async def notify_alive() -> None:
    """Tell systemd's watchdog that the event loop turns: called there, a loop that hangs tells nothing."""
    notify(ALIVE)


def watchdog_seconds() -> float | None:
    """Return within how many seconds systemd wants to hear of this process each time, None where it does not.

    `WATCHDOG_PID` says whom it means: processes that this one starts inherit the variables.
    """
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not microseconds.isdecimal():
        return None
    return int(microseconds) / 1e6 or None
