"""Calibrations by statements that are not one statistic of one position, in closed form."""

import numpy as np
import pytest
import scipy.optimize
import scipy.stats as st
from builders import BASE, PAYER, PROVIDER, SD, case, line, normal, partner

import riskshare as rs
from riskshare.analysis.statements import terms_of

AMOUNT, MARGINAL = "c.funding.amount", "c.marginal-rate.rate"
GLASS = "c.marginal-rate.break_glass.threshold"
WIDE = {AMOUNT: (0.0, 3e6)}
BEYOND = st.norm.pdf(st.norm.ppf(0.95)) / 0.05
"""Tail value at risk at 95 % of a standard normal."""


def number(found, path, name="number"):
    return float(found.table[name].sel(path=path))


def at(found, place, name):
    return float(found.table[name].isel(statement=place))


def shared(sd=0.05):
    """Three partners of one pool of savings; what is saved is normal with an SD of sd x 20m."""
    demand = rs.Driver(name="demand", acts_on="activity", law="normal", sd=sd)
    pool = rs.Pool(
        budget="plan",
        value_of=["spells"],
        holder=PAYER,
        key="fixed",
        share={PROVIDER: 0.4, "other": 0.3, PAYER: 0.3},
    )
    fixed = rs.CostBehaviour(variable=0.0, fixed=1.0)
    inside = [partner(PAYER, "payer"), partner(PROVIDER), partner("other")]
    return case(
        [line(loadings={"demand": 1.0}, cost=fixed)],
        [rs.Block(), pool],
        budgets=[rs.Budget(name="plan")],
        drivers=[demand],
        partners=[*inside, partner("external", "external")],
    )


SHARES = [f"c.pool.share[{name}]" for name in (PROVIDER, "other", PAYER)]


class TestAsWellOffAsBefore:
    """A provider counts its mean less half its tail value at risk: 1.5 amount - 0.5 k s."""

    before, offered = normal(rate=0.6, amount=150e3), normal(rate=0.9, amount=200e3)
    expected = 150e3 + 0.3 * BASE * SD * BEYOND / 3

    def test_the_least_amount_for_which_it_takes_a_higher_rate(self):
        found = rs.calibrate(
            self.offered,
            free=WIDE,
            status_quo=self.before,
            appetite={PROVIDER: "mean - 0.5 tail_value_at_risk[0.95]"},
            minimise=AMOUNT,
        )
        assert found.status == "converged"
        error = number(found, AMOUNT, "number_error")
        assert abs(number(found, AMOUNT) - self.expected) < 4 * error + 1e-4 * self.expected
        assert number(found, AMOUNT) == pytest.approx(self.expected, rel=1e-3)
        # one pound of utility is 2/3 of a pound of the amount
        assert at(found, 0, "shadow_price") == pytest.approx(2 / 3, rel=1e-3)

    def test_the_error_is_that_of_the_paired_difference(self):
        """Both are linear in one score: rates of 0.9 and 0.6 leave a third of the first's error."""
        free = {"free": WIDE, "samples": 65_536}
        name = f"tail_value_at_risk[{PROVIDER},0.95]"
        paired = rs.calibrate(
            self.offered, status_quo=self.before, targets={f"difference_{name}": 0.0}, **free
        )
        alone = rs.calibrate(self.offered, targets={f"position_{name}": 0.0}, **free)
        ratio = at(paired, 0, "value_error") / at(alone, 0, "value_error")
        assert ratio == pytest.approx(1 / 3, rel=0.01)

    def test_a_status_quo_as_it_is_binds_for_all_and_costs_nothing(self):
        found = rs.calibrate(
            self.before, free=WIDE, status_quo=self.before, appetite="mean", minimise=AMOUNT
        )
        assert number(found, AMOUNT) == pytest.approx(150e3, rel=1e-4)
        assert found.table.sizes["statement"] == 3  # payer, provider, and the amount
        assert at(found, 1, "value_error") == 0.0


@pytest.mark.parametrize("times", [1, 2])
def test_tails_of_two_partners_in_a_proportion(times):
    """Tails are proportional to shares, and both are known from the same samples."""
    name = f"position_tail_value_at_risk[{PROVIDER},0.95]"
    other = "position_tail_value_at_risk[other,0.95]"
    found = rs.calibrate(shared(), free=SHARES[:2], targets={f"{name} - {times} * {other}": 0})
    assert found.status == "converged"
    assert found.table.number.values.sum() == pytest.approx(0.7, abs=1e-12)
    assert number(found, SHARES[0]) == pytest.approx(0.7 * times / (times + 1), rel=1e-6)
    assert at(found, 0, "value_error") < 1.0  # that of either tail is about 1,000


def test_the_least_transfer_that_leaves_a_provider_its_risk():
    """Half of |0.2 S| + |-0.2 S| is 0.2 |S|, of mean 0.2 s sqrt(2 / pi); nothing is for the other.

    The provider's standard deviation is share x 1m; d transfer / d SD = sqrt(2 / pi).
    """
    name = f"position_standard_deviation[{PROVIDER}]"
    found = rs.calibrate(
        shared(), free=SHARES, constraints={name: (200_000, None)}, minimise="transfer_mean"
    )
    assert found.status == "converged"
    assert found.table.number.values == pytest.approx([0.2, 0.0, 0.8], abs=2e-4)
    assert at(found, 1, "value") == pytest.approx(2e5 * np.sqrt(2 / np.pi), rel=1e-3)
    assert at(found, 0, "shadow_price") == pytest.approx(np.sqrt(2 / np.pi), rel=1e-3)


def test_what_a_term_pays_on_average():
    """A rate on growth alone pays rate x s x E[Z+]."""
    up, down = (f"{MARGINAL}[spells,{way}]" for way in ("up", "down"))
    of = normal(rate={"spells": {"up": 0.5, "down": 0.0}})
    name = f"posting_mean[c.marginal-rate,{PROVIDER}]"
    found = rs.calibrate(of, free={up: (0.0, 2.0)}, targets={name: 100_000})
    expected = 100_000 * np.sqrt(2 * np.pi) / (BASE * SD)
    error = number(found, up, "number_error")
    assert abs(number(found, up) - expected) < 4 * error + 1e-4 * expected
    with pytest.raises(rs.ArgumentError, match="moves none of"):
        rs.calibrate(of, free={down: (0.0, 2.0)}, targets={
            f"posting_mean[c.block,{PROVIDER}]": 2e7})  # fmt: skip


class TestThresholds:
    """Activity is normal about plan: 0.05 of it is beyond SD z(0.975)."""

    expected = SD * st.norm.ppf(0.975)

    def glass(self, reading):
        glass = rs.BreakGlass(threshold=0.05, rate=0.7, reading=reading)
        return normal(rate=0.3, break_glass=glass)

    @pytest.mark.parametrize("reading", ["excess-only", "whole-deviation"])
    def test_the_break_glass_that_holds_19_years_in_20(self, reading):
        name = f"number_probability[{GLASS}]"
        found = rs.calibrate(self.glass(reading), free={GLASS: (0.02, 0.2)}, targets={name: 0.05})
        assert found.status == "converged"
        assert number(found, GLASS) == pytest.approx(self.expected, rel=1e-3)
        again = rs.clauses(found.case, samples=65_536).number_probability
        assert float(again.sel(number=GLASS, year="all")) == pytest.approx(0.05, abs=1e-3)

    def test_the_quantile_of_a_deviation_as_a_number(self):
        name = f"absolute_deviation_quantile[spells,0.95] - {GLASS}"
        found = rs.calibrate(
            self.glass("excess-only"), free={GLASS: (0.02, 0.2)}, targets={name: 0}
        )
        assert number(found, GLASS) == pytest.approx(self.expected, rel=1e-3)

    def test_how_often_a_term_pays(self):
        """Beyond a tolerance only."""
        name = "term_probability[c.marginal-rate]"
        of = normal(rate=0.3, tolerance=0.03)
        path = "c.marginal-rate.tolerance"
        found = rs.calibrate(of, free={path: (0.0, 0.2)}, targets={name: 0.1})
        assert number(found, path) == pytest.approx(SD * st.norm.ppf(0.95), rel=2e-3)


def controlled(rate=0.2):
    """Cost varies by 0.8 of activity, of which a provider controls 0.4 and the payer 0.6.

    With X the deviation in value the payer bears -rate X, the provider (rate - 0.8) X: their shares
    are rate / 0.8 and 1 - rate / 0.8.
    """
    own = {PROVIDER: 0.4, PAYER: 0.6}
    demand = rs.Driver(name="demand", acts_on="activity", law="normal", sd=SD, influence=own)
    cost = rs.CostBehaviour(variable=0.8, fixed=0.2, exit_basis="planned")
    return case(
        [line(loadings={"demand": 1.0}, cost=cost)],
        [rs.Block(), rs.MarginalRate(rate=rate)],
        drivers=[demand],
        residual_key={PAYER: 1.0},
    )


class TestAlignment:
    """alignment = 1 - |rate / 0.8 - 0.6|: greatest, with a kink, at 0.48."""

    free = {MARGINAL: (0.0, 0.8)}  # noqa: RUF012

    def test_the_best_rate(self):
        found = rs.calibrate(controlled(), free=self.free, minimise="-alignment")
        assert found.status == "converged"
        assert number(found, MARGINAL) == pytest.approx(0.48, rel=1e-3)
        assert at(found, 0, "value") == pytest.approx(1, abs=1.1e-3)

    def test_no_less_than_so_much_of_it(self):
        found = rs.calibrate(
            controlled(),
            free=self.free,
            constraints={"alignment": (0.9, None)},
            minimise=MARGINAL,
        )
        assert number(found, MARGINAL) == pytest.approx(0.4, rel=1e-3)
        assert at(found, 0, "shadow_price") == pytest.approx(0.8, rel=1e-3)
        again = rs.influence(found.case).alignment.sel(year="all")
        assert float(again) == pytest.approx(0.9, abs=1e-3)


class TestBehindAGate:
    """Beyond a threshold T all of the deviation is paid at 0.3, not 0.6: the loss jumps down.

    P(loss > a BASE) = P(a / 0.6 < -X < T) + P(-X > max(T, a / 0.3)), X the relative deviation.
    """

    @staticmethod
    def beyond(a, threshold):
        middle = st.norm.cdf(-a / 0.6 / SD) - st.norm.cdf(-threshold / SD)
        return max(middle, 0) + st.norm.cdf(-max(threshold, a / 0.3) / SD)

    @pytest.mark.parametrize("threshold", [0.04, 0.06])
    def test_the_threshold_for_a_quantile(self, threshold):
        loss = scipy.optimize.brentq(lambda a: self.beyond(a, threshold) - 0.05, 1e-4, 0.5)
        glass = rs.BreakGlass(threshold=0.05, rate=0.3, reading="whole-deviation")
        of = normal(rate=0.6, amount=0.0, break_glass=glass)
        found = rs.calibrate(
            of,
            free={GLASS: (0.02, 0.15)},
            targets={f"position_quantile[{PROVIDER},0.05]": -loss * BASE},
        )
        assert found.status == "converged"
        error = number(found, GLASS, "number_error")
        assert abs(number(found, GLASS) - threshold) < 4 * error + 1e-3 * threshold
        assert found.table.attrs["evaluations"] < 60


def test_names_have_hyphens_and_sums_have_blanks():
    text = "a.b-c.rate[x - y] - 0.5 mean[p,0.95] + 2*b-d.e - f"
    assert terms_of(text) == [(1, "a.b-c.rate[x - y]"), (-0.5, "mean[p,0.95]"), (2, "b-d.e"),
                              (-1, "f")]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"targets": {"posting_mean[c.pool,provider]": 0}}, "must name one term"),
        ({"targets": {"posting_mean[c.block]": 0}}, "must name one partner"),
        ({"targets": {"cost_tail_value_at_risk[provider,0.95]": 0}}, "cost has no tail_value"),
        ({"targets": {"transfer_mean": 0}}, "no term of the case runs in the phases"),
        ({"targets": {"position_mean[provider] - ": 0}}, "cannot be read"),
        ({"targets": {"c.funding.amont": 0}}, "is the number c.funding.amount meant?"),
        ({"targets": {"difference_mean[provider]": 0}}, "give status_quo="),
        ({"targets": {"number_probability[c.block.uplift]": 0.1}}, "cannot move by itself"),
        ({"targets": {"term_probability[c.blok]": 0.1}}, "must name one term"),
        ({"targets": {"alignment": 0.9}}, "does not say who controls"),
        ({"targets": {"position_probability_of_deficit[provider]": 1e-5}}, "too few to be sure"),
        ({"status_quo": normal()}, "nothing is held against it"),
        ({"status_quo": "normal"}, "accepted: a case"),
        ({"status_quo": normal(), "appetite": {"nobody": "mean"}}, "found 'nobody'"),
        ({"status_quo": normal(), "appetite": "median"}, "names no statistic"),
        ({"status_quo": shared(), "appetite": "mean"}, "partners of"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused_before_the_search(arguments, said):
    given = {"free": WIDE, "targets": {f"position_mean[{PROVIDER}]": 0}} | arguments
    with pytest.raises(rs.ArgumentError) as refused:
        rs.calibrate(normal(), **given)
    assert said in str(refused.value)
