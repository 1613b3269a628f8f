"""Settlements of the Medicare Shared Savings Program, PY2014 to PY2022, as numbers of a contract.

``rows`` reads the published file, ``numbers`` turns each row into the numbers that one sharing term
takes, ``oracle`` settles them in plain NumPy, and ``published`` says what CMS paid and charged. No
step after ``numbers`` knows a track: what differs between tracks and years is a number.

Sources: 42 CFR 425.604 to 425.610; the CMS public use files in ``shared/data/mssp``.
"""

import csv
import datetime
import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import riskshare as rs

Column = NDArray[Any]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

TEXT = ("aco", "name", "state", "track", "revenue")

# The sliding scale: minimum savings rate by assigned beneficiaries, linear within each range and
# flat outside. A range ends one life below the next (5,999, not 6,000): ranges that meet at the
# round figures miss the published rates in their sixth decimal. The points below 5,000 lives are
# derived from the file, where they give every printed rate (one row, of 152 lives, fixes 27.4 %);
# 12.2 % is also the highest rate that Milliman quotes ("MSSP minimum savings/(loss) rates").
SCALE: tuple[tuple[int, float], ...] = (
    (100, 0.274),
    (499, 0.122),
    (500, 0.122),
    (999, 0.087),
    (1_000, 0.087),
    (2_999, 0.050),
    (3_000, 0.050),
    (4_999, 0.039),
    (5_000, 0.039),
    (5_999, 0.036),
    (6_000, 0.036),
    (6_999, 0.034),
    (7_000, 0.034),
    (7_999, 0.032),
    (8_000, 0.032),
    (8_999, 0.031),
    (9_000, 0.031),
    (9_999, 0.030),
    (10_000, 0.030),
    (14_999, 0.027),
    (15_000, 0.027),
    (19_999, 0.025),
    (20_000, 0.025),
    (49_999, 0.022),
    (50_000, 0.022),
    (59_999, 0.020),
    (60_000, 0.020),
)

# Decimals of the printed MSR (a fraction), by year. In 2014 and 2016 CMS rounded twice (to one
# decimal more, then to these), so that the last digit may be 0.55 of a unit away.
MSR_DIGITS = {
    2014: 11,
    2015: 4,
    2016: 9,
    2017: 9,
    2018: 9,
    2019: 4,
    2020: 4,
    2021: 4,
    2022: 4,
}

# What a two-sided ACO may elect in place of the scale.
FLAT_RATES = (0.0, 0.005, 0.01, 0.015, 0.02)

# Losses bound by a share of participants' revenue, which is not published, with the reason. Each
# ACO is of low revenue, and owes less than its loss rate gives and than its share of the benchmark.
REVENUE_CAPPED: dict[tuple[str, int], str] = {
    ("A2392", 2019): "8 % of revenue (Track 1+): owed 2,074,713, uncapped 2,562,084",
    ("A1515", 2021): "2 % of revenue (BASIC C): owed 154,250, uncapped 398,579",
    ("A2820", 2021): "2 % of revenue (BASIC C): owed 61,711, uncapped 216,557",
    ("A4627", 2021): "2 % of revenue (BASIC C): owed 266,996, uncapped 739,201",
    ("A1070", 2022): "4 % of revenue (BASIC D): owed 2,320,475, uncapped 8,583,191",
}

# Losses before relief that the printed columns do not give to 0.1 %: owed and relief add up to
# 706,544 where 30 % of the loss is 704,609. See SIX_MONTHS for a reading that gives the dollar.
UNEXPLAINED: list[tuple[str, int]] = [("A1498", 2019)]

# Owing rows of the first six months of 2019 (42 CFR 425.609): benchmark per person-year is half
# that of 2018. Money is for six months, and the relief printed is twice what the amount owed shows
# (3,870 against 1,935; 279 against 140), as if it were for the year. Inferred, not published.
SIX_MONTHS: list[tuple[str, int]] = [("A1498", 2019), ("A2021", 2019)]


class Track(NamedTuple):
    """What a track sets: shares of the gain or loss, and caps as shares of the benchmark."""

    gain: float
    cap_gain: float
    loss: float = 0.0
    offset: float = 0.0
    floor: float = 0.0
    ceiling: float = 1.0
    cap_loss: float = 0.0

    @property
    def two_sided(self) -> bool:
        return self.loss > 0.0


# Track 2 caps losses at 5, 7.5 and 10 % in years one, two and three, and the file does not say
# which year it is; the tightest stands here and never binds.
TRACKS = {
    "1": Track(0.5, 0.10),
    "2": Track(0.6, 0.15, 1.0, 1.0, 0.4, 0.60, 0.05),
    "3": Track(0.75, 0.20, 1.0, 1.0, 0.4, 0.75, 0.15),
    "1+": Track(0.5, 0.10, 0.3, cap_loss=0.04),
    "A": Track(0.4, 0.10),
    "B": Track(0.4, 0.10),
    "C": Track(0.5, 0.10, 0.3, cap_loss=0.01),
    "D": Track(0.5, 0.10, 0.3, cap_loss=0.02),
    "E": Track(0.5, 0.10, 0.3, cap_loss=0.04),
    "EN": Track(0.75, 0.20, 1.0, 1.0, 0.4, 0.75, 0.15),
}


def rows(path: Path) -> dict[str, Column]:
    """Read the columns of ``mssp_core_2014_2022.csv.gz``.

    Text columns hold strings (empty where blank), ``year`` integers and the others floats (NaN
    where blank). ``id`` is added: ``aco``, or the name up to PY2017, when no identifier was
    published.
    """
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    table: dict[str, Column] = {
        name: np.array(
            [row[name].strip() if name in TEXT else float(row[name] or "nan") for row in read]
        )
        for name in read[0]
    }
    table["year"] = table["year"].astype(np.int64)
    table["id"] = np.where(table["aco"] == "", table["name"], table["aco"])
    return table


def among(table: dict[str, Column], keys: Iterable[tuple[str, int]]) -> Flags:
    """Rows whose identifier and year are among ``keys``."""
    wanted = set(keys)
    return np.array(
        [key in wanted for key in zip(table["id"], table["year"].tolist(), strict=True)]
    )


def scale(lives: Floats) -> Floats:
    """Minimum savings rate of the sliding scale."""
    points, rates = zip(*SCALE, strict=True)
    rate: Floats = np.interp(lives, points, rates)
    return rate


def numbers(table: dict[str, Column]) -> dict[str, Floats]:
    """Contract numbers and results of every row, one array each.

    Columns used, and for what:

    - ``benchmark``, ``expend`` and ``n_ab``: benchmark, expenditure and lives.
    - ``track``: ``rate``, ``offset``, ``floor``, ``ceiling`` and ``cap`` (``TRACKS``), and whether
      the contract is one-sided (then every number of the loss side that could charge is zero).
    - ``year``: ``scalar.gain`` (sequestration: 0.98, and 1 in PY2019 and PY2020), ``weight`` (1 to
      PY2020: maximum rate times score; 0 from PY2021: the maximum once the standard is met) and
      ``relief`` from PY2020 (1: the public health emergency).
    - ``msr``: for two-sided tracks only, the election. One of ``FLAT_RATES`` is the threshold
      itself; any other value says that the scale was elected, and its digits are not used.
      One-sided thresholds are the scale at ``n_ab``, below 5,000 lives too.
    - ``quality``: the score, in the gain to PY2020 and in the loss rate in all years. Blank (first
      years of 2014 and 2015, which only had to report) is 1.
    - ``met_q``: the quality standard; where it is blank (2014 and 2015), whether ``share_rate`` is
      above zero. Failing makes ``quality`` 0 and ``weight`` 1. The value of ``share_rate`` is not
      used, nor are ``gross``, ``gen``, ``loss_rate``, ``reduced``, ``guardrail`` and ``revenue``.
    - ``dis_adj`` and ``earned``: ``relief`` to PY2019, the share of the loss that was waived
      (months and beneficiaries affected, which is all it depends on, are not in the file). Halved
      in ``SIX_MONTHS``.

    ``missed`` is 0 throughout: the half rate of low-revenue ACOs starts after PY2022.
    """
    tracks = [TRACKS[name] for name in table["track"].tolist()]
    of_track = {
        name: np.array([getattr(track, name) for track in tracks], np.float64)
        for name in Track._fields
    }
    two_sided = np.array([track.two_sided for track in tracks])
    year, lives = table["year"], table["n_ab"].astype(np.float64)
    none = np.zeros(len(tracks))

    flat = two_sided & np.isclose(table["msr"][:, None], FLAT_RATES, rtol=0, atol=1e-9).any(axis=1)
    threshold = np.where(flat, table["msr"], 0.0)
    scaled = np.where(flat, 0.0, 1.0)

    met = np.where(np.isnan(table["met_q"]), table["share_rate"] > 0, table["met_q"] == 1)
    score = np.where(np.isnan(table["quality"]), 1.0, table["quality"])

    waived = relief_printed(table) * np.where(among(table, SIX_MONTHS), 0.5, 1.0)
    owed = np.maximum(-table["earned"], 0.0)
    by_column = np.divide(waived, waived + owed, out=none.copy(), where=waived > 0)

    return {
        "benchmark": table["benchmark"].astype(np.float64),
        "expenditure": table["expend"].astype(np.float64),
        "lives": lives,
        "threshold.gain": threshold,
        "threshold.loss": np.where(two_sided, threshold, 0.0),
        "scaled.gain": scaled,
        "scaled.loss": np.where(two_sided, scaled, 0.0),
        "missed.gain": none.copy(),
        "missed.loss": none.copy(),
        "rate.gain": of_track["gain"],
        "rate.loss": of_track["loss"],
        "quality": np.where(met, score, 0.0),
        "weight": np.where(met & (year >= 2021), 0.0, 1.0),
        "offset": of_track["offset"],
        "floor": of_track["floor"],
        "ceiling": of_track["ceiling"],
        "scalar.gain": np.where((year == 2019) | (year == 2020), 1.0, 0.98),
        "scalar.loss": none + 1.0,
        "cap.gain": of_track["cap_gain"],
        "cap.loss": of_track["cap_loss"],
        "relief": np.where(year >= 2020, 1.0, by_column),
    }


def oracle(given: dict[str, Floats]) -> tuple[Floats, Floats, Floats]:
    """Settle: paid to the ACO, owed by it before disaster relief, and the sum with its sign.

    With ``D = B - C`` and ``r = D / B``, in this order::

        theta = threshold + scaled * scale(lives)
        m     = 1 if |r| >= theta else missed
        gain  = min(scalar * rate * ((1 - weight) + weight * quality) * m * D, cap * B)
        l     = clip(rate - offset * rate.gain * quality, floor, ceiling)
        loss  = min(scalar * l * m * |D|, cap * B)
        final = gain - loss * (1 - relief)

    The rates are not rounded before the comparison. Sequestration comes before the cap: three ACOs
    were paid 10 % of their benchmark, not 9.8 %. The loss rate takes the quality score at full
    weight, also in the years when the gain does not depend on it.
    """
    benchmark = given["benchmark"]
    result = benchmark - given["expenditure"]
    rate = result / benchmark
    on_scale = scale(given["lives"])

    def counted(side: str, amount: Floats) -> Floats:
        theta = given[f"threshold.{side}"] + given[f"scaled.{side}"] * on_scale
        multiple = np.where(np.abs(rate) >= theta, 1.0, given[f"missed.{side}"])
        return multiple * np.maximum(amount, 0.0)

    quality, weight = given["quality"], given["weight"]
    share_gain = given["rate.gain"] * ((1.0 - weight) + weight * quality)
    share_loss = np.clip(
        given["rate.loss"] - given["offset"] * given["rate.gain"] * quality,
        given["floor"],
        given["ceiling"],
    )
    gain = given["scalar.gain"] * share_gain * counted("gain", result)
    gain = np.minimum(gain, given["cap.gain"] * benchmark)
    loss = given["scalar.loss"] * share_loss * counted("loss", -result)
    loss = np.minimum(loss, given["cap.loss"] * benchmark)
    return gain, loss, gain - loss * (1.0 - given["relief"])


def relief_printed(table: dict[str, Column]) -> Floats:
    """Disaster relief as printed, made positive; 0 where ``dis_adj`` is blank."""
    return -np.nan_to_num(table["dis_adj"].astype(np.float64))


def published(
    table: dict[str, Column], halved: Iterable[tuple[str, int]] = ()
) -> tuple[Floats, Floats, Floats]:
    """Return what CMS published: paid, owed before relief, and the sum with its sign.

    The loss before relief is ``-(earned + dis_adj)``: both are negative, ``earned`` after relief
    (0 in PY2020 to PY2022, when all was waived). Never ``gen``, which in PY2018 and PY2019 is
    negative for one-sided ACOs that owe nothing. Rows in ``halved`` count half the printed relief.
    """
    earned = table["earned"].astype(np.float64)
    relief = relief_printed(table) * np.where(among(table, halved), 0.5, 1.0)
    return np.maximum(earned, 0.0), np.maximum(-earned, 0.0) + relief, earned


def rounding(table: dict[str, Column]) -> tuple[Floats, Floats]:
    """Dollars by which the gain and the loss may differ because inputs are published rounded.

    Half a unit of the quality score's last decimal (the ninth in 2014, the fourth after) times the
    result and the rate where the score counts, and 1.50 for benchmark, expenditure and payment in
    whole dollars.
    """
    given = numbers(table)
    half = np.where(table["year"] == 2014, 0.5e-9, 0.5e-4)
    scored = half * given["rate.gain"] * np.abs(given["benchmark"] - given["expenditure"])
    return scored * given["weight"] + 1.5, scored * given["offset"] + 1.5


def contract() -> rs.Case:
    """The terms of the program: what differs between tracks and years is a number of them."""
    both = {"gain": 0.5, "loss": 0.5}
    points, rates = zip(*SCALE, strict=True)
    pool = rs.Pool(
        name="sharing",
        budget="benchmark",
        value_of=["care"],
        holder="cms",
        key="fixed",
        share={"aco": 1.0},
        gate=rs.Gate(
            threshold=both,
            reading="first-dollar",
            scale=rs.Scale(population="assigned", members=points, rate=rates, weight=both),
            missed=both,
        ),
        rate=both,
        quality=rs.Quality(partner="aco", weight=0.5, offset=0.5, floor=0.4, ceiling=0.75),
        scalar=both,
        caps=[rs.Cap(limit=both, of="budget", applies="after-share")],
        relief=both,
    )
    return rs.Case(
        name="mssp",
        currency="USD",
        years=[
            rs.Year(
                label="performance",
                start=datetime.date(2022, 1, 1),
                end=datetime.date(2022, 12, 31),
            )
        ],
        partners=[
            rs.Partner(name="cms", kind="payer"),
            rs.Partner(name="aco", kind="provider", quality=rs.Score(value=1.0)),
            rs.Partner(name="providers", kind="provider"),
        ],
        members=[rs.Population(name="assigned", count=10_000)],
        lines=[
            rs.Line(
                name="care",
                deliverer="providers",
                payer="cms",
                unit="dollar",
                baseline=1e8,
                unit_cost=1.0,
                price=1.0,
            )
        ],
        contracts=[
            rs.Contract(
                name="mssp",
                budgets=[rs.Budget(name="benchmark", base=1e8)],
                terms=[rs.ActivityPayment(), pool],
            )
        ],
    )


def parameters(numbers: dict[str, Floats]) -> dict[str, xr.DataArray]:
    """Paths of the contract's numbers, each over contracts."""

    def over(values: Floats) -> xr.DataArray:
        return xr.DataArray(values, dims="contract")

    sides = ("gain", "loss")
    found = {"mssp.benchmark.base": over(numbers["benchmark"])}
    for path, name in (
        ("gate.threshold", "threshold"),
        ("gate.scale.weight", "scaled"),
        ("gate.missed", "missed"),
        ("rate", "rate"),
        ("scalar", "scalar"),
        ("caps[0].limit", "cap"),
    ):
        for side in sides:
            found[f"mssp.sharing.{path}[{side}]"] = over(numbers[f"{name}.{side}"])
    for name in ("weight", "offset", "floor", "ceiling"):
        found[f"mssp.sharing.quality.{name}"] = over(numbers[name])
    found["mssp.sharing.relief[gain]"] = over(np.zeros_like(numbers["relief"]))
    found["mssp.sharing.relief[loss]"] = over(numbers["relief"])
    return found


def experience(numbers: dict[str, Floats]) -> xr.Dataset:
    """What happened to each contract: expenditure, lives and quality."""

    year, dims = ["performance"], ("contract", "year")
    return xr.Dataset(
        {
            "activity": ((*dims, "line"), numbers["expenditure"][:, None, None]),
            "members": ((*dims, "population"), numbers["lives"][:, None, None]),
            "quality": ((*dims, "partner"), numbers["quality"][:, None, None]),
        },
        {"year": year, "line": ["care"], "population": ["assigned"], "partner": ["aco"]},
    )
