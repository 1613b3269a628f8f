"""The cases that come with riskshare, known without importing anything heavy."""

import tomllib
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "cases"
"""Where bundled cases lie, with the CSV tables they name."""


def case_names() -> tuple[str, ...]:
    """Return the names that `riskshare.load_case` knows, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def case_titles() -> dict[str, str]:
    """Return the title of each bundled case by its name."""
    titles = {}
    for name in case_names():
        with open(FOLDER / f"{name}.toml", "rb") as file:
            titles[name] = str(tomllib.load(file).get("title", ""))
    return titles
