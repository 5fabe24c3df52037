"""Write the dashboards: `python -m grafana.build` (`make dashboards`)."""

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.feeds import feeds
from grafana.leak import leak
from grafana.overview import overview

FOLDER = Path(__file__).parent / "dashboards"


def rendered() -> dict[str, str]:
    """The text of each file by its name."""
    boards = {"overview.json": overview(), "leak.json": leak(), "feeds.json": feeds()}
    return {name: json.dumps(_numbered(board), indent=2) + "\n" for name, board in boards.items()}


def _numbered(board: dashboard.Dashboard) -> dict[str, Any]:
    """The dashboard as plain data, its panels numbered in reading order."""
    plain: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(board.build()))
    for number, panel in enumerate(plain["panels"], 1):
        panel["id"] = number
    return plain


def main() -> None:
    """Replace the files that are committed."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in rendered().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
