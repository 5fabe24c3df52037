"""The names of leases, which have the number that each partition gave.

bot~648e2a9f31c0f~0-17~3-2    17 in partition 0 and 2 in partition 3, of the consumer `bot` that was made
at 648e2a9f31c0f; one of that name that was forgotten before is another
"""

import re
from typing import NamedTuple

from app.consumer_errors import LeaseOfAnother, UnknownLease

_LEASE = re.compile(r"([A-Za-z0-9._:-]{1,64})~([0-9a-f]{1,16})((?:~[0-9]{1,3}-[0-9]{1,16}){1,128})\Z")


class LeaseName(NamedTuple):
    """A lease as clients name it."""

    consumer: str
    incarnation: int
    numbers: tuple[tuple[int, int], ...]
    """Partitions, and the number that each gave the lease."""

    @property
    def text(self) -> str:
        """The name as clients see it."""
        numbers = "".join(f"~{partition}-{number}" for partition, number in self.numbers)
        return f"{self.consumer}~{self.incarnation:x}{numbers}"


def parse_lease(text: str, consumer: str) -> LeaseName:
    """Take the name of a lease of a consumer apart.

    Raises:
        UnknownLease: it is none.
        LeaseOfAnother: it is that of another consumer.
    """
    found = _LEASE.match(text)
    if found is None:
        raise UnknownLease("this is no lease; send the one that the lease was answered with")
    if found[1] != consumer:
        raise LeaseOfAnother(f"the lease is one of {found[1]}: commit it there")
    pairs = (pair.split("-") for pair in found[3].removeprefix("~").split("~"))
    return LeaseName(consumer, int(found[2], 16), tuple((int(at), int(number)) for at, number in pairs))
