"""What handlers ask for, as annotated types."""

from typing import Annotated, cast

from fastapi import Depends, Request

from app.runtime import Runtime


async def _runtime(request: Request) -> Runtime:
    return cast("Runtime", request.app.state.runtime)


RuntimeDep = Annotated[Runtime, Depends(_runtime)]
