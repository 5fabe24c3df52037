"""A click type for amounts of bytes."""

import re

import click

UNITS = {"": 1, "B": 1, "KIB": 1024, "MIB": 1024**2}
SHAPE = re.compile(r"(\d{1,12})\s*([A-Z]*)", re.ASCII)


class ByteSize(click.ParamType[int]):
    """Bytes, as a plain number or with KiB or MiB, between two limits."""

    name = "size"

    def __init__(self, least: int, most: int) -> None:
        self._range = range(least, most + 1)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes; fails with what would be right."""
        found = SHAPE.fullmatch(str(value).strip().upper())
        amount = int(found[1]) * UNITS.get(found[2], -1) if found else -1
        if amount not in self._range:
            lowest, highest = self._range[0], self._range[-1]
            self.fail(f"{value!r} is not a size from {lowest} to {highest} bytes, like 4MiB", param, ctx)
        return amount
