"""Find keys that would stay in a store for ever."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

import redis

from tests.support.servers import StoreServer

NO_EXPIRY = -1


def keys_without_expiry(server: StoreServer, allowed: Iterable[str] = ()) -> list[str]:
    """List the keys of all masters that never expire, sorted, except the `allowed` ones.

    An allowed name may be a shell pattern such as `tidegate:map:*`. Bytes that are not UTF-8
    are shown in hexadecimal.
    """
    patterns = tuple(allowed)
    names: set[str] = set()
    for node in server.nodes():
        with node:
            names.update(_lasting(node))
    return sorted(name for name in names if not any(fnmatchcase(name, p) for p in patterns))


def _lasting(node: redis.Redis) -> Iterable[str]:
    keys: list[bytes] = list(node.scan_iter(count=1_000))
    pipeline = node.pipeline(transaction=False)
    for key in keys:
        pipeline.ttl(key)
    for key, ttl in zip(keys, pipeline.execute(), strict=True):
        if ttl == NO_EXPIRY:
            yield key.decode("utf-8", "backslashreplace")
