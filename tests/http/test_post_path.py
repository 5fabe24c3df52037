"""How far a reader has to go to follow one post: the files and functions of app/ that it passes."""

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "post_path.py"
# Each number may fall; one that has to rise is a sign of a detour. What is rare leaves the way where it
# happens: a partition that is down or in an older format, a call that waits for its turn, a reader who waits.
# Of the ordinary way's files one is new: the buffer of a body, for which its reader's file had no room.
MOST = {"fast path": (25, 105), "ordinary way": (39, 196)}


def test_a_single_post_passes_no_more_files_and_functions_than_it_did() -> None:
    command = [sys.executable, str(SCRIPT)]
    told = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=True
    )
    counts = {
        way: (int(files), int(functions))
        for way, files, functions in re.findall(r"(.+): (\d+) files, (\d+) functions", told.stdout)
    }
    assert counts.keys() == MOST.keys()
    for way, (files, functions) in counts.items():
        assert 10 < files <= MOST[way][0], f"{way}: {files} files"
        assert 50 < functions <= MOST[way][1], f"{way}: {functions} functions"
