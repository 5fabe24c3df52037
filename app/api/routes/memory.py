"""`GET /memory` and `POST /memory/reset`: what the guard sees, and telling it that somebody has looked."""

from fastapi import APIRouter

from app.api.deps import RuntimeDep
from app.api.openapi.common import problems
from app.guard.view import MemoryView, memory_view

router = APIRouter(tags=["operations"])


@router.get("/memory")
async def get_memory(runtime: RuntimeDep) -> MemoryView:
    """The guard's view: level, growth, slope and state of each process, and what past detections found."""
    return _view(runtime)


@router.post("/memory/reset", responses=problems(s401="No valid token"))
async def post_memory_reset(runtime: RuntimeDep) -> MemoryView:
    """Clear `ineffective`, the cooldown and the window of every process: what happened has been looked at."""
    runtime.guard.reset()
    return _view(runtime)


def _view(runtime: RuntimeDep) -> MemoryView:
    guard = runtime.guard
    return memory_view(guard.status, guard.readings, runtime.settings, runtime.examiner.diagnoses)
