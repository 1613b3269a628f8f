"""Terms that pay at the margin, against published and statutory numbers (M07, M08, M11)."""

import numpy as np
import pytest
from builders import actuals, balanced, case, line, paid, partner

import riskshare as rs


def settled(of, activity, **given):
    outcomes = rs.settle(of, actuals(of, activity, **given))
    assert balanced(outcomes)
    return outcomes


def elective(rate, target, **fields):
    """M07: 100m of elective care in 2019/20 at 1m a unit, against a share of a fund of 5m."""
    return case(
        [line(baseline=100, price=1e6)],
        [
            rs.MarginalRate(
                per="total",
                base={"spells": 100e6},
                rate=rate,
                target=target,
                fund=5e6,
                **{"collar": 0.75, **fields},
            )
        ],
    )


@pytest.mark.parametrize(
    ("value", "adjustment"),
    [
        (98, -3_750_000.00),  # 0.75 x (98 - 104) = -4.5, not below 75 % of 5
        (110, 4_500_000.00),
        (104, 0.00),
        (100, -3_000_000.00),  # above the floor
        (99, -3_750_000.00),  # just on it
        (120, 12_000_000.00),  # there is no ceiling
    ],
)
def test_m07_rules_of_2022_23(value, adjustment):
    assert paid(settled(elective(0.75, 1.04), value), "marginal-rate") == adjustment


@pytest.mark.parametrize(
    ("target", "adjustment"),
    [(1.07, 3_000_000.00), (1.03, 7_000_000.00), (1.14, -3_750_000.00)],
)
def test_m07_rules_of_2023_24_with_a_target_for_each_system(target, adjustment):
    assert paid(settled(elective(1.0, target), 110), "marginal-rate") == adjustment


def test_m07_cap_is_a_share_of_the_fund_too():
    capped = elective(0.75, 1.04, cap=1.0)
    assert paid(settled(capped, 120), "marginal-rate") == 5_000_000.00
    assert paid(settled(capped, 110), "marginal-rate") == 4_500_000.00


def test_m07_one_fund_for_providers_together_is_shared_by_base():
    # a 50 against 62.4, b 44 against 41.6: together 0.75 x (94 - 104) = -7.5, floor -3.75
    both = case(
        [
            line("a", baseline=60, price=1e6),
            line("b", baseline=40, price=1e6, deliverer="other"),
        ],
        [
            rs.MarginalRate(
                per="total",
                base={"a": 60e6, "b": 40e6},
                rate=0.75,
                target=1.04,
                fund=5e6,
                collar=0.75,
            )
        ],
        partners=[partner("payer", "payer"), partner("provider"), partner("other")],
    )
    outcomes = settled(both, [50.0, 44.0])
    assert paid(outcomes, "marginal-rate") == -2_250_000.00
    assert paid(outcomes, "marginal-rate", to="other") == -1_500_000.00
    assert paid(outcomes, "marginal-rate", to="payer") == 3_750_000.00


@pytest.mark.parametrize(
    ("planned", "adjustment"),
    [
        (700, 0.00),  # 1.4m: a low-volume block
        (750, 0.00),  # 1.5m, at the threshold
        (751, 200_000.00),  # 1.502m: 100 more spells at 2,000
    ],
)
def test_m07_contracts_of_up_to_a_million_and_a_half_are_blocks(planned, adjustment):
    small = case([line(baseline=planned)], [rs.MarginalRate(rate=1.0, low_volume=1.5e6)])
    assert paid(settled(small, planned + 100), "marginal-rate") == adjustment


def test_low_volume_looks_at_the_plan_of_all_lines_and_not_at_what_happened():
    two_lines = [line("a", baseline=700), line("b", baseline=100)]
    together = case(two_lines, [rs.MarginalRate(rate=1.0, low_volume=1.5e6)])
    assert paid(settled(together, [800.0, 100.0]), "marginal-rate") == 200_000.00
    alone = case(two_lines, [rs.MarginalRate(lines=["a"], rate=1.0, low_volume=1.5e6)])
    assert paid(settled(alone, [7000.0, 1000.0]), "marginal-rate") == 0.00


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"per": "line"}, r"c\.marginal-rate\.fund"),
        ({"collar": None}, r"c\.marginal-rate\.fund"),
    ],
)
def test_a_fund_is_the_base_of_limits_on_all_lines_together(fields, problem):
    whole = {"per": "total", "rate": 0.75, "fund": 5e6, "collar": 0.75}
    with pytest.raises(rs.CaseError, match=problem):
        case([line()], [rs.MarginalRate(**(whole | fields))])


SHORTFALL = {"ordinary": 0.2, "supplements": 0.0}
EXCESS = {"ordinary": 0.65, "supplements": 0.25}


def hospital(**fields):
    """M08: a revenue budget of 90m for ordinary cases, 10m for drug and device supplements."""
    return case(
        [line("ordinary", baseline=90, price=1e6), line("supplements", baseline=10, price=1e6)],
        [
            rs.ActivityPayment(),
            rs.RevenueCompensation(shortfall=SHORTFALL, excess=EXCESS, **fields),
        ],
        currency="EUR",
    )


@pytest.mark.parametrize(
    ("ordinary", "supplements", "net"),
    [
        (86, 10, 96.8),
        (95, 10, 101.75),
        (90, 15, 103.75),
        (90, 10, 100.0),
        (90, 6, 96.0),  # a shortfall in supplements is not made up
        (95, 6, 97.75),  # nor does it offset an excess in ordinary cases
    ],
)
def test_m08_german_revenue_compensation(ordinary, supplements, net):
    outcomes = settled(hospital(), [ordinary, supplements])
    total = paid(outcomes, "activity-payment") + paid(outcomes, "revenue-compensation")
    assert round(total, 2) == round(net * 1e6, 2)


def test_m08_budget_is_agreed_by_line_and_may_differ_from_plan():
    agreed = hospital(budget={"ordinary": 100e6, "supplements": 8e6})
    # 5m short of 100m at 20 %, 2m above 8m at 25 %
    outcomes = settled(agreed, [95, 10])
    assert paid(outcomes, "revenue-compensation") == 1_000_000.00 - 500_000.00


def test_m08_case_mix_is_billed():
    outcomes = settled(hospital(), [90, 10], case_mix=[1.05, 1.0])
    assert paid(outcomes, "revenue-compensation") == -0.65 * 4_500_000


def in_cash(outcomes, term, to="provider"):
    """Money a term pays in cash: what cash adds to everything else earned in the year."""
    others = outcomes.position - outcomes.posting.sel(term=f"c.{term}")
    return (outcomes.cash - others).sel(partner=to, sample=0).values.round(2)


def compensated(**cash):
    return case(
        [line("ordinary", baseline=10, price=1e6)],
        [
            rs.ActivityPayment(),
            rs.RevenueCompensation(
                shortfall=0.2,
                excess=0.65,
                cash=rs.Cash(limit=0.15, of=["activity-payment"], **cash),
            ),
        ],
        currency="EUR",
        count=4,
    )


def test_m08_settlement_is_at_most_15_per_cent_of_billings_and_the_remainder_is_carried():
    later = compensated(profile=[0.0, 1.0])
    outcomes = settled(later, [[3.0], [4.0], [10.0], [10.0]])
    earned = [paid(outcomes, "revenue-compensation", year=y) for y in range(4)]
    assert earned == [1_400_000, 1_200_000, 0, 0]  # 20 % of 7m and of 6m
    # 2019/20: 1.4m due, 15 % of 4m; 2020/21: 0.8m + 1.2m due, 15 % of 10m; then the rest
    np.testing.assert_array_equal(
        in_cash(outcomes, "revenue-compensation"), [0, 600_000, 1_500_000, 500_000]
    )
    np.testing.assert_array_equal(
        in_cash(outcomes, "revenue-compensation", "payer"), [0, -600_000, -1_500_000, -500_000]
    )


def test_m08_what_is_clawed_back_is_limited_alike():
    now = compensated(profile=[1.0])
    outcomes = settled(now, [[20.0], [10.0], [8.0], [10.0]])
    earned = [paid(outcomes, "revenue-compensation", year=y) for y in range(4)]
    assert earned == [-6_500_000, 0, 400_000, 0]
    # 15 % of 20, 10 and 8m; what is made up in the third year is set off against what is still owed
    np.testing.assert_array_equal(
        in_cash(outcomes, "revenue-compensation"), [-3_000_000, -1_500_000, -1_200_000, -400_000]
    )


HOSPITALS = [
    partner("payer", "payer"),
    partner("gainer"),
    partner("loser"),
    partner("third"),
    partner("external", "external"),
]


def market(factor=0.5):
    """M11: three hospitals of 1,000 case-mix cases at 15,000."""
    return case(
        [
            line(name, baseline=1000, price=15_000.0, unit_cost=15_000.0, deliverer=name)
            for name in ("gainer", "loser", "third")
        ],
        [rs.MarketShift(factor=factor)],
        partners=HOSPITALS,
        currency="USD",
    )


def moved(outcomes):
    return [paid(outcomes, "market-shift", to=name) for name in ("gainer", "loser", "third")]


def test_m11_a_shift_of_200_cases_moves_half_of_their_revenue():
    outcomes = settled(market(), [1200.0, 800.0, 1000.0])
    assert moved(outcomes) == [1_500_000.00, -1_500_000.00, 0.00]
    assert paid(outcomes, "market-shift", to="payer") == 0.00


def test_m11_high_intensity_supplies_move_in_full():
    outcomes = settled(market(1.0), [1200.0, 800.0, 1000.0])
    assert moved(outcomes) == [3_000_000.00, -3_000_000.00, 0.00]


@pytest.mark.parametrize(
    ("activity", "expected"),
    [
        ([1200.0, 1000.0, 1000.0], [0, 0, 0]),  # growth that nobody lost
        ([1000.0, 800.0, 1000.0], [0, 0, 0]),  # a fall that nobody gained
        # 200 of 300 are matched: 1.5m to whoever gained, by what each gained
        ([1200.0, 800.0, 1100.0], [1_000_000, -1_500_000, 500_000]),
        # 200 gained, 300 lost: two losers share
        ([1200.0, 900.0, 800.0], [1_500_000, -500_000, -1_000_000]),
    ],
)
def test_m11_only_what_one_gains_and_another_loses_has_shifted(activity, expected):
    outcomes = settled(market(), activity)
    assert moved(outcomes) == expected
    assert sum(moved(outcomes)) == 0


def test_m11_case_mix_adjusted_cases_count():
    outcomes = settled(market(), [1000.0, 1000.0, 1000.0], case_mix=[1.2, 0.8, 1.0])
    assert moved(outcomes) == [1_500_000, -1_500_000, 0]


def test_m11_needs_two_lines():
    with pytest.raises(rs.CaseError, match=r"c\.market-shift\.lines"):
        case([line()], [rs.MarketShift(factor=0.5)])
