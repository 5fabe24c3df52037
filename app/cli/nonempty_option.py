"""Types of options that have to be given something: an empty text is what an unset shell variable leaves."""

from typing import Any

import click


class Given(click.ParamType[Any]):
    """Takes what another type takes, but no empty text, which would pass for an option that is left out."""

    def __init__(self, kind: click.ParamType[Any] = click.STRING) -> None:
        self._kind = kind
        self.name = kind.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return what the other type makes of it, or fail with what may have gone wrong."""
        if value == "":
            self.fail("it is empty; is a shell variable not set?", param, ctx)
        return self._kind.convert(value, param, ctx)
