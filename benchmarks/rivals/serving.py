"""How every rival is served: by the same uvicorn, on the port that `TIDEGATE_PORT` names."""

import os
from typing import Any

import uvicorn
from fastapi import FastAPI


def service(**options: Any) -> FastAPI:
    """An application that tells at `/readyz` that it serves, as the gate does."""
    app = FastAPI(**options)

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    return app


def serve(app: Any, **options: Any) -> None:
    """Serve until it is told to stop."""
    common: dict[str, Any] = {"loop": "uvloop", "http": "httptools", "access_log": False}
    uvicorn.run(app, port=int(os.environ["TIDEGATE_PORT"]), log_level="warning", **common, **options)


def summary(items: int, duplicates: list[int]) -> dict[str, object]:
    """The answer to a batch as Tidegate gives it; duplicates are told by their places."""
    accepted = items - len(duplicates)
    lists = {"duplicates": duplicates, "errors": []}
    return {"accepted": accepted, "duplicate": len(duplicates), "invalid": 0, **lists}
