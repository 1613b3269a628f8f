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
    """Actuals of a case: a number, a list over lines or a table (year, line), for each variable."""
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


def everything():
    """One case with every kind of term, key and process, over two years."""
    partners = [
        partner("icb", "payer"),
        partner("acute"),
        partner("community"),
        partner(
            "reserve", "pool", opening_balance=1e5, shortfall={"icb": 1.0}, release={"acute": 1.0}
        ),
        partner("external", "external"),
    ]
    exits = behaviour(exit_basis="next_year")
    ward = rs.CostBehaviour(
        variable=0.4,
        semi_fixed=0.6,
        released=rs.Released(semi_fixed=[0.5, 1.0]),
        step=rs.Step(size=25, unit="beds", length_of_stay=5, occupancy=0.85),
    )
    mine = {"payer": "icb", "deliverer": "acute"}
    lines = [
        line(
            "out",
            baseline=40_000,
            price=120.0,
            unit_cost=118.0,
            cost=exits,
            exposure="people",
            loadings={"demand": 1.0, "mix": 0.5, "pay": 1.0},
            noise=rs.Noise(law="negative-binomial", overdispersion=4e-4),
            **mine,
        ),
        line(
            "in",
            baseline=6000,
            unit_cost=2100.0,
            cost=ward,
            growth=0.01,
            loadings={"demand": 0.8, "mix": 1.0},
            noise=rs.Noise(law="gamma", cv=0.02),
            **mine,
        ),
        line(
            "few",
            baseline=40,
            unit_cost=9000.0,
            price=9500.0,
            noise=rs.Noise(law="poisson", factors={"shock": 0.4}),
            **mine,
        ),
        line(
            "triage",
            expected=9000,
            price=60.0,
            unit_cost=55.0,
            payer="icb",
            deliverer="community",
            noise=rs.Noise(law="lognormal", cv=0.05),
            unit_cost_noise=rs.Noise(law="gamma", cv=0.03),
        ),
    ]
    drivers = [
        rs.Driver(
            name="demand",
            acts_on="activity",
            interval=[0.96, 1.05],
            process="ar1",
            persistence=0.5,
            influence={"icb": 0.4, "community": 0.2},
        ),
        rs.Driver(name="mix", acts_on="case_mix", interval=[0.98, 1.03], influence={"acute": 0.3}),
        rs.Driver(
            name="pay",
            acts_on="unit_cost",
            law="lognormal",
            sd=0.02,
            centre="mean",
            process="random-walk",
        ),
        rs.Driver(name="settlement", acts_on="funding", law="normal", sd=0.01),
        rs.Driver(name="shock", acts_on="chance", law="normal", sd=1.0),
    ]
    shared = {"against": ["blocks", "rates", "support"], "holder": "icb"}
    glass = rs.BreakGlass(threshold=0.06, rate=0.7, reading="whole-deviation")
    excess = rs.BreakGlass(threshold=0.06, rate=0.7, reading="excess-only")
    terms = [
        rs.Funding(from_="external", to="icb", amount=1.7e7, driver="settlement"),
        rs.Block(name="blocks", uplift=[0.0, 0.01]),
        rs.Block(name="fee", amount=1e5, from_="icb", to="community"),
        rs.CapitatedBudget(from_="icb", to="acute", budget="heads"),
        rs.ActivityPayment(lines=["few"], share=0.5, market_forces_factor=1.1),
        rs.MarginalRate(
            name="rates",
            lines=["out", "in"],
            break_glass=glass,
            rate={"out": {"up": 0.3, "down": 0.2}, "in": 0.4},
            tolerance=0.01,
        ),
        rs.MarginalRate(
            name="net",
            per="total",
            lines=["out", "in"],
            cap=0.02,
            collar=0.02,
            bands=[rs.Band(beyond=0.0, rate=0.1), rs.Band(beyond=0.03, rate=0.4)],
        ),
        rs.MarginalRate(name="glass", lines=["few"], rate=0.2, break_glass=excess),
        rs.StrandedSupport(
            name="support", lines=["out"], share=0.5, of="value removed", basis="planned"
        ),
        rs.StrandedSupport(
            name="help",
            lines=["in"],
            share=0.5,
            of="stranded cost",
            basis="realised",
            taper=[1.0, 0.5],
        ),
        rs.Pool(
            name="fixed",
            budget="b",
            key="fixed",
            caps=[rs.Cap(limit=0.02, of="budget", applies="after-share")],
            **shared,
            share={"acute": 0.4, "icb": 0.3, "reserve": 0.3},
            loss_share={"icb": 0.5, "acute": 0.5},
            corridors=[rs.Corridor(beyond=0.001, rate=0.5), rs.Corridor(beyond=0.01, rate=0.8)],
        ),
        rs.Pool(
            name="weighed",
            budget="b",
            key="proportional",
            **shared,
            weights={"acute": 3.0, "community": 1.0},
        ),
        rs.Pool(name="influence", budget="b", key="influence", **shared),
    ]
    return rs.Case(
        name="everything",
        years=years(2),
        partners=partners,
        drivers=drivers,
        members=[
            rs.Population(
                name="people", count=[1e5, 1.01e5], law="normal", sd=0.01, influence={"icb": 0.5}
            )
        ],
        lines=lines,
        correlations=[rs.Correlation(between=["demand", "members[people]"], value=0.3)],
        changes=[
            rs.Change(
                name="t",
                owner="icb",
                source="out",
                destination="triage",
                size=[0.1, 0.2],
                substitution=0.5,
                delivery=rs.Delivery(interval=[0.6, 1.1]),
                delay=rs.Delay(law="normal", value=0.2, sd=0.1),
                running_cost=5e4,
            ),
            rs.Change(
                name="o",
                owner="icb",
                source="in",
                size=0.05,
                delivery=rs.Delivery(interval=[0.3, 2.2], influence={"acute": 1.0}),
            ),
        ],
        residual_key={"icb": 0.5, "acute": 0.25, "community": 0.25},
        contracts=[
            rs.Contract(
                name="c",
                terms=terms,
                budgets=[
                    rs.Budget(name="b", stranded_support="support"),
                    rs.Budget(
                        name="heads",
                        rate={"people": 3.0},
                        rebase="actual",
                        planned_changes=False,
                        new_services=False,
                    ),
                ],
            )
        ],
    )


SD, BASE, RATE, AMOUNT = 0.04, 20_000_000.0, 0.6, 150_000.0
SPREAD = RATE * BASE * SD


def normal(rate=RATE, amount=AMOUNT, sd=SD, **fields):
    """A provider of fixed cost, whose position is ``amount + rate x BASE x sd x Z``, Z normal."""
    demand = rs.Driver(name="demand", acts_on="activity", law="normal", sd=sd)
    fixed = rs.CostBehaviour(variable=0.0, fixed=1.0, exit_basis="planned")
    funding = rs.Funding(from_="external", to=PROVIDER, amount=amount)
    marginal = rs.MarginalRate(rate=rate, **fields)
    lines = [line(loadings={"demand": 1.0}, cost=fixed)]
    return case(lines, [rs.Block(), funding, marginal], drivers=[demand])
