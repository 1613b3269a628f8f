"""What a run prints of laws: waiting lists, and what the spread is made of."""

import pytest
from typer.testing import CliRunner

from riskshare.cli import app

CASE = """
name = "small"
currency = "GBP"
[[years]]
label = "2018/19"
start = 2018-04-01
end = 2019-03-31
[partners.ccg]
kind = "payer"
[partners.trust]
kind = "provider"
[drivers.winter]
acts_on = "activity"
[drivers.winter.law]
kind = "shock"
probability = 0.1
effect = { kind = "pert", low = 1.0, mode = 1.1, high = 1.4 }
[drivers.level]
acts_on = "activity"
law = "lognormal"
sd = 0.02
centre = "mean"
uncertainty = "parameter"
[lines.ae]
deliverer = "trust"
payer = "ccg"
baseline = 100_000
unit_cost = 150
price = 160
loadings = { winter = 1, level = 1 }
capacity = { units = 104_000, waiting = 500 }
[[contracts.c.terms]]
kind = "activity-payment"
"""


@pytest.fixture
def case_file(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(CASE)
    return str(path)


def test_a_run_shows_who_waits_and_what_is_not_known(case_file):
    result = CliRunner().invoke(app, ["run", case_file, "--samples", "4096"])
    assert result.exit_code == 0, result.output
    assert "waiting at the year's end" in result.output
    rows = {line.split()[0]: line.split() for line in result.output.splitlines() if line.split()}
    source = result.output.partition("sd by source")[2]
    ccg = next(line.split() for line in source.splitlines() if line.startswith("ccg"))
    process, parameter, baseline, total = map(float, ccg[1:5])
    assert baseline == 0
    assert process**2 + parameter**2 == pytest.approx(total**2, rel=0.02)
    assert rows["ae"][1] == "2018/19"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "pert"', 'kind = "perty"', "drivers.winter.law.effect.kind: found 'perty'"),
        ("probability = 0.1", "probability = 10", "did you mean 0.1?"),
        ("low = 1.0, mode", "low = 2.0, mode", "drivers.winter.law.effect"),
        ("low = 1.0, mode = 1.1", "low = 0.5, mode = 1.1", "found values below calm"),
        ("units = 104_000", "units = nan", "lines.ae.capacity.units: found nan"),
        ('uncertainty = "parameter"', 'uncertainty = "unknown"', "accepted: process"),
        ("sd = 0.02", 'sd = "x"', "drivers.level.sd: found 'x'"),
    ],
)
def test_what_is_wrong_with_a_law_is_said_with_its_path(tmp_path, old, new, message):
    path = tmp_path / "wrong.toml"
    assert old in CASE
    path.write_text(CASE.replace(old, new))
    from riskshare.errors import RiskshareError

    result = CliRunner().invoke(app, ["run", str(path)])
    assert isinstance(result.exception, RiskshareError)
    assert message in str(result.exception)
