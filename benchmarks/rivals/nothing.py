"""A FastAPI route with a pydantic body that does nothing: what the framework alone costs.

It does not look at what it is given. Listens on `TIDEGATE_PORT`.
"""

from typing import Any

from pydantic import BaseModel

from benchmarks.rivals.serving import serve, service


class Item(BaseModel):
    """One delivered transaction."""

    signature: str
    slot: int | None = None
    payload: Any = None


app = service()


@app.post("/transactions")
async def transactions(item: Item) -> dict[str, str]:
    """Do nothing."""
    return {"status": "accepted", "signature": item.signature}


if __name__ == "__main__":
    serve(app)
