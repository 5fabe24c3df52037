"""`GET /memory` and `POST /memory/reset`: what the guard sees, and telling it that somebody has looked."""

from typing import Annotated

from fastapi import APIRouter

from app.api.deps import part
from app.api.openapi.common import problems
from app.guard.diagnosis.examiner import Examiner
from app.guard.guard import Guard
from app.guard.memory_view import MemoryView, memory_view

router = APIRouter(tags=["operations"])

GuardDep = Annotated[Guard, part(Guard)]
ExaminerDep = Annotated[Examiner, part(Examiner)]


@router.get("/memory")
async def get_memory(guard: GuardDep, examiner: ExaminerDep) -> MemoryView:
    """The guard's view: level, growth, slope and state of each process, and what past detections found."""
    return memory_view(guard.status, guard.readings, guard.settings(), examiner.diagnoses)


@router.post("/memory/reset", responses=problems(s401="No valid token"))
async def post_memory_reset(guard: GuardDep, examiner: ExaminerDep) -> MemoryView:
    """Clear `ineffective`, the cooldown and the window of every process: what happened has been looked at."""
    guard.reset()
    return memory_view(guard.status, guard.readings, guard.settings(), examiner.diagnoses)
