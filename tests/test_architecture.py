"""Each row of the layout imports only rows above it, or its own."""

import ast
from pathlib import Path

import pytest

import riskshare

ROWS = (
    ("names", "errors"),
    ("parameters",),
    ("laws",),
    ("contract",),
    ("uncertain", "system", "case", "checks"),
    ("plan",),
    ("bind",),
    ("program",),
    ("outcomes",),
    ("run",),
    ("statistics", "summary"),
    ("analysis",),
    ("fitting", "files"),
    ("report", "cases", "testing"),
    ("bench",),
    ("cli", "__main__", "__init__"),
)
"""The layout, drawn in docs/architecture.md."""

PACKAGE = Path(riskshare.__file__).parent
HEIGHT = {room: row for row, rooms in enumerate(ROWS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))


def _room(parts: tuple[str, ...]) -> str:
    return parts[0].removesuffix(".py") if parts else "__init__"


def _imports(path: Path) -> set[str]:
    """Rooms that a module imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "riskshare":
                found.add(_room(tuple(parts[1:])))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_upwards(path: Path) -> None:
    room = _room(path.relative_to(PACKAGE).parts)
    below = {other for other in _imports(path) if HEIGHT[other] > HEIGHT[room]}

    assert not below, f"{room} imports {sorted(below)}, which stand below it"


def test_every_room_has_a_row() -> None:
    rooms = {_room(path.relative_to(PACKAGE).parts) for path in MODULES}

    assert rooms <= set(HEIGHT)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_is_longer_than_500_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
