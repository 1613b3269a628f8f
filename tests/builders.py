"""Small cases: each function declares one, so that a test states only what it is about."""

import datetime

import numpy as np
import xarray as xr

import riskshare as rs

PAYER, PROVIDER = "payer", "provider"


def years(count=1, first=2018, start=None):
    """Financial years, April to March; ``start`` makes the first a part-year from that date."""
    made = []
    for i in range(count):
        begin = datetime.date(first + i, 4, 1)
        if i == 0 and start is not None:
            begin = start
        end = datetime.date(first + i + 1, 3, 31)
        made.append(rs.Year(label=f"{first + i}/{(first + i + 1) % 100:02}", start=begin, end=end))
    return made


def partner(name, kind=PROVIDER, **fields):
    return rs.Partner(name=name, kind=kind, **fields)


def two():
    """A payer and a provider, with the world outside."""
    return [partner(PAYER, PAYER), partner(PROVIDER), partner("external", "external")]


def line(name="spells", **fields):
    """A line of 10,000 spells at 2,000, all variable, unless told otherwise."""
    if "expected" not in fields:
        fields = {"baseline": 10_000, **fields}
    fields = {"deliverer": PROVIDER, "payer": PAYER, "unit_cost": 2000.0, "price": 2000.0, **fields}
    return rs.Line(name=name, **fields)


def case(lines=None, terms=None, *, budgets=(), count=1, **fields):
    """One contract `c` over some lines (payment by activity), for as many years as asked."""
    terms = [rs.ActivityPayment()] if terms is None else terms
    return rs.Case(
        **{
            "name": "t",
            "years": years(count),
            "partners": two(),
            "lines": [line()] if lines is None else lines,
            "contracts": [rs.Contract(name="c", budgets=budgets, terms=terms)],
            **fields,
        }
    )


def actuals(of, activity, *, years=None, drivers=None, members=None, **by_line):
    """Actuals of a case: a number, a list over lines, or a table (year, line); likewise the rest."""
    labels = of.labels()
    label = list(labels["year"][: np.shape(np.atleast_2d(activity))[0]] if years is None else years)
    shape = (len(label), len(labels["line"]))

    def table(values):
        values = np.asarray(values, np.float64)
        if values.ndim == 1 and len(values) != shape[1] and len(values) == shape[0]:
            values = values[:, None]
        return ("year", "line"), np.broadcast_to(values, shape).copy()

    found = {"activity": table(activity)} | {name: table(v) for name, v in by_line.items()}
    coords = {"year": label, "line": list(labels["line"])}
    for variable, axis, given in (
        ("driver_index", "driver", drivers),
        ("members", "population", members),
    ):
        if given is not None:
            coords[axis] = list(given)
            rows = [
                np.broadcast_to(np.asarray(v, np.float64), (len(label),)) for v in given.values()
            ]
            found[variable] = (("year", axis), np.stack(rows, axis=1))
    return xr.Dataset(found, coords)


def paid(outcomes, term, to=PROVIDER, year=0):
    """Money a term gives a partner in one year (of the first sample)."""
    return float(outcomes.posting.sel(term=f"c.{term}", partner=to).isel(year=year, sample=0))


def balanced(outcomes, per_unit=100):
    """Whether postings balance exactly in minor units."""
    return bool(((outcomes.posting * per_unit).round().sum("partner") == 0).all())


def behaviour(
    variable=0.2, semi=0.3, fixed=0.5, rho_semi=(0.5, 1.0), rho_fixed=(0.0, 0.1, 0.25), **k
):
    """The cost split of M33 and M34: 20 / 30 / 50."""
    released = rs.Released(semi_fixed=list(rho_semi), fixed=list(rho_fixed))
    return rs.CostBehaviour(variable=variable, semi_fixed=semi, fixed=fixed, released=released, **k)


def msk_toy(payment="scheme"):
    """M34; ``payment`` may also be the pure block at baseline value or payment by activity."""
    realised = behaviour(exit_basis="realised")
    moved = ["outpatients", "inpatients"]
    terms = {
        "scheme": [
            rs.Block(),
            rs.StrandedSupport(lines=moved, share=0.5, of="value removed", basis="planned"),
            rs.MarginalRate(lines=moved, rate={"outpatients": 0.3, "inpatients": 0.4}),
            rs.Pool(
                budget="capitated",
                against=["block", "stranded-support", "marginal-rate"],
                holder="commissioner",
                key="fixed",
                share={"acute": 0.4, "community": 0.25, "commissioner": 0.35},
            ),
        ],
        "block": [
            rs.Block(from_="commissioner", to="acute", amount=16_800_000),
            rs.Block(name="triage", lines=["triage"]),
        ],
        "activity": [rs.ActivityPayment()],
    }[payment]
    budgets = [rs.Budget(name="capitated", stranded_support="stranded-support")]
    return rs.Case(
        name="msk-toy",
        years=years(),
        partners=[
            partner("commissioner", PAYER),
            partner("acute"),
            partner("community"),
            partner("external", "external"),
        ],
        drivers=[
            rs.Driver(
                name="demand",
                acts_on="activity",
                interval=[0.96, 1.05],
                influence={"commissioner": 0.4, "community": 0.2},
            ),
            rs.Driver(
                name="case-mix",
                acts_on="case_mix",
                interval=[0.98, 1.03],
                influence={"acute": 0.3},
            ),
            rs.Driver(name="price", acts_on="unit_cost", law="lognormal", sd=0.01, centre="mean"),
        ],
        lines=[
            rs.Line(
                name="outpatients",
                deliverer="acute",
                payer="commissioner",
                baseline=40_000,
                unit_cost=120.0,
                price=120.0,
                cost=realised,
                loadings={"demand": 1.0, "case-mix": 0.5, "price": 1.0},
                noise=rs.Noise(law="negative-binomial", overdispersion=0.0004),
            ),
            rs.Line(
                name="inpatients",
                deliverer="acute",
                payer="commissioner",
                baseline=3000,
                unit_cost=4000.0,
                price=4000.0,
                cost=realised,
                loadings={"demand": 0.8, "case-mix": 1.0, "price": 1.0},
                noise=rs.Noise(law="negative-binomial", overdispersion=0.0009),
            ),
            rs.Line(
                name="triage",
                deliverer="community",
                payer="commissioner",
                expected=13_000,
                unit_cost=60.0,
                price=60.0,
            ),
        ],
        changes=[
            rs.Change(
                name="triage",
                owner="commissioner",
                source="outpatients",
                size=0.25,
                delivery=rs.Delivery(interval=[0.6, 1.1]),
            ),
            rs.Change(
                name="ops",
                owner="commissioner",
                source="inpatients",
                size=0.05,
                delivery=rs.Delivery(interval=[0.3, 2.2]),
            ),
        ],
        contracts=[
            rs.Contract(
                name="c",
                partners=["commissioner", "acute", "community"],
                budgets=budgets if payment == "scheme" else [],
                terms=[
                    rs.Funding(from_="external", to="commissioner", amount=16_800_000),
                    *terms,
                ],
            )
        ],
    )


MSK_ACTUAL = [32_000.0, 2700.0, 13_000.0]
"""What happened in M34: outpatients miss their plan, inpatients beat it, triage as planned."""
