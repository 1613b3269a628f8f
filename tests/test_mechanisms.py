"""The page of mechanisms names a test for every number, and every test it names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "mechanisms.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:oracle|properties)/\w+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_every_test_that_the_page_names_exists(file: str, test: str) -> None:
    text = (ROOT / "tests" / file).read_text(encoding="utf-8")

    assert re.search(rf"^def {test}\(", text, re.MULTILINE)


def test_every_mechanism_golden_number_and_pitfall_has_a_row() -> None:
    rows = re.findall(r"^\| (\S+(?:, \S+)*) \|", PAGE, re.MULTILINE)
    named = {part for row in rows for part in row.split(", ")}

    assert {f"M{i:02}" for i in range(1, 35)} <= named
    assert {f"G{i}" for i in range(14, 33)} <= named
    assert {"R1–R3", "R4"} <= named
    assert {str(i) for i in range(1, 23)} <= named
