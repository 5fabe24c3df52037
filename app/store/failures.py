"""Library errors become ours in this one place."""

import asyncio

from redis import exceptions as redis_errors

from app import errors

_BY_TYPE: tuple[tuple[type[BaseException], type[errors.StoreError]], ...] = (
    (redis_errors.AuthenticationError, errors.StoreDenied),
    (redis_errors.AuthorizationError, errors.StoreDenied),
    (redis_errors.NoPermissionError, errors.StoreDenied),
    (redis_errors.OutOfMemoryError, errors.StoreFull),
    (redis_errors.BusyLoadingError, errors.StoreBusy),
    (redis_errors.TryAgainError, errors.StoreBusy),
    (redis_errors.ReadOnlyError, errors.StoreReadOnly),
    (redis_errors.ClusterDownError, errors.StoreClusterDown),
    (redis_errors.SlotNotCoveredError, errors.StoreClusterDown),
    (redis_errors.TimeoutError, errors.StoreTimeout),
    (TimeoutError, errors.StoreTimeout),
    (asyncio.IncompleteReadError, errors.StoreUnreachable),
    (redis_errors.ConnectionError, errors.StoreUnreachable),
    (OSError, errors.StoreUnreachable),
    (redis_errors.RedisClusterException, errors.StoreUnreachable),
)

# An error raised inside a script reaches us as text only.
_BY_TEXT: tuple[tuple[str, type[errors.StoreError]], ...] = (
    ("OOM", errors.StoreFull),
    ("CLUSTERDOWN", errors.StoreClusterDown),
    ("READONLY", errors.StoreReadOnly),
    ("MASTERDOWN", errors.StoreReadOnly),
    ("LOADING", errors.StoreBusy),
    ("BUSY", errors.StoreBusy),
    ("NOAUTH", errors.StoreDenied),
    ("WRONGPASS", errors.StoreDenied),
    ("NOPERM", errors.StoreDenied),
)


def as_store_error(error: BaseException) -> errors.StoreError:
    """Name the way the store failed.

    On a unix socket the library wraps what went wrong into a broken connection: the cause says more.
    """
    named = _named(error)
    cause = as_store_error(error.__cause__) if error.__cause__ is not None else named
    return named if type(cause) is errors.StoreRejected else cause


def _named(error: BaseException) -> errors.StoreError:
    text = str(error) or type(error).__name__
    for library_type, ours in _BY_TYPE:
        if isinstance(error, library_type):
            return ours(text)
    for prefix, ours in _BY_TEXT:
        if text.startswith(prefix) or f" {prefix} " in text:
            return ours(text)
    return errors.StoreRejected(text)
