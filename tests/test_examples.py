"""Every example runs: docstrings, the README, and the pages of the documentation."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import riskshare as rs
from riskshare.contract import term

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(rs.__path__, "riskshare.")
    if not module.name.endswith("__main__")
)
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", ["riskshare", *MODULES])
def test_docstring_examples_run(name: str) -> None:
    failed, _ = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE
    )

    assert failed == 0


def _blocks(page: Path, language: str) -> list[tuple[str, str]]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(header, text) for kind, header, text in found if kind == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for language in ("toml", "csv"):
        for header, text in _blocks(page, language):
            title = re.search(r'title="([^"]+)"', header)
            if title:
                (tmp_path / title[1]).write_text(text, encoding="utf-8")
    for path in tmp_path.glob("*.toml"):
        rs.load_case(path)
    # an example may declare a term of its own, which must not outlive it
    monkeypatch.setattr(term, "TERMS", dict(term.TERMS))
    namespace: dict[str, object] = {}
    for header, text in _blocks(page, "python"):
        if "title" not in header:
            exec(compile(text, f"{page.name}", "exec"), namespace)


def test_the_readme_holds_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    run = re.search(r"<!-- run command -->\n```bash\n(.*?)\n```", text, re.DOTALL)
    test = re.search(r"<!-- test command -->\n```bash\n(.*?)\n```", text, re.DOTALL)

    assert run is not None
    assert "riskshare run mid-nottinghamshire-msk" in run[1]
    assert test is not None
    assert "pytest" in test[1]
    assert "\n" not in run[1] + test[1]
