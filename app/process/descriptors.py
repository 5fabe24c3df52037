"""How many descriptors a process may have open, and how many of them are left for connections of clients."""

import resource
import sys

import structlog

from app.errors import ConfigError

log = structlog.get_logger()

# Refused connections that are still open for their clients to read why (64), listeners and event loop (16),
# store connections (8 to each node), pipes of processes that are started, files of tokens and of /proc (20).
RESERVED = 128
# Of a gate with workers, and of each worker: the connections between them.
RESERVED_BETWEEN_PROCESSES = 112
FEWEST_CONNECTIONS = 16


def raise_limit() -> None:
    """Raise this process's limit on descriptors as far as it may; processes it starts inherit that."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:  # as where a filter of system calls forbids it
        log.info("limit on descriptors not raised", hard=hard, error=str(error))


def descriptors_limit() -> int | None:
    """Return how many descriptors this process may have open, None where there is no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def client_connections(wanted: int, *, has_peers: bool) -> int:
    """Return how many connections clients may have: as many as wanted, or as this process's limit leaves.

    `has_peers` is true for a gate with workers, and for a worker.

    Raises:
        ConfigError: the limit leaves next to none.
    """
    limit = descriptors_limit() or sys.maxsize
    reserved = RESERVED + (RESERVED_BETWEEN_PROCESSES if has_peers else 0)
    if limit < reserved + FEWEST_CONNECTIONS:
        raise ConfigError(
            f"only {limit} descriptors may be open at once, {reserved + FEWEST_CONNECTIONS} are needed: "
            "raise the hard limit (`ulimit -Hn`, LimitNOFILE= of systemd, ulimits of Compose)"
        )
    connections = min(wanted, limit - reserved)
    if connections < wanted:
        log.warning(
            "fewer connections than set, as the limit on descriptors allows no more",
            wanted=wanted,
            connections=connections,
            descriptors=limit,
        )
    return connections
