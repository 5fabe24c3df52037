"""Hands a handler the parts of the gate that it names by their classes."""

from typing import Any

from fastapi import Depends, Request


def part(kind: type[object]) -> Any:
    """Depend on the gate's part of this class; `create_app` is given all parts, one of each class."""

    async def find(request: Request) -> object:
        return request.app.state.parts[kind]

    return Depends(find)
