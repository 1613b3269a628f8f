import dataclasses
import datetime

import pytest
import tomlkit

import riskshare as rs
from riskshare.files.atomic import replacing
from riskshare.files.bundled import FOLDER, case_names
from riskshare.files.plain import to_plain

TOY = (FOLDER / "msk-toy.toml").read_text(encoding="utf-8")

TABLE = (
    "name,deliverer,payer,unit_cost,price,baseline,cost.variable,cost.fixed,loadings.demand\r\n"
    "a&e,acute,commissioner,150.00,150.00,20000,0.4,0.6,1\r\n"
    "therapy,community,commissioner,45.50,50,9000,,,\r\n"
)


def changed_lines(before, after):
    before, after = before.splitlines(), after.splitlines()
    assert len(before) == len(after)
    return [(a, b) for a, b in zip(before, after, strict=True) if a != b]


def saved(case, tmp_path):
    path = tmp_path / "saved.toml"
    rs.save_case(case, path)
    assert rs.load_case(path) == case
    return path.read_text(encoding="utf-8")


@pytest.fixture
def with_table(tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "case.toml").write_text(TOY + '\n[tables]\nlines = "more.csv"   # from the ledger\n')
    (folder / "more.csv").write_text(TABLE, newline="")
    return rs.load_case(folder / "case.toml")


@pytest.mark.parametrize("name", case_names())
def test_a_case_saved_unchanged_is_the_same_text(name, tmp_path):
    case = rs.load_case(name)
    assert saved(case, tmp_path) == case.origin.text


@pytest.mark.parametrize("name", case_names())
def test_a_case_without_its_text_is_written_anew_and_equal(name, tmp_path):
    case = dataclasses.replace(rs.load_case(name), origin=type(rs.load_case(name).origin)())
    saved(case, tmp_path)


def test_changed_numbers_change_their_lines_and_nothing_else(tmp_path):
    case = rs.load_case("msk-toy").with_numbers(
        {
            "lines.outpatients.baseline": 41_000,
            "drivers.price.sd": 0.02,
            "changes.fewer-operations.size": 0.06,
            "msk.marginal-rate.rate[inpatients]": 0.5,
        }
    )
    assert changed_lines(TOY, saved(case, tmp_path)) == [
        ("sd = 0.01", "sd = 0.02"),
        ("baseline = 40_000", "baseline = 41_000"),
        (
            "size = 0.05                                      # of baseline: 3,000 to 2,850",
            "size = 0.06                                      # of baseline: 3,000 to 2,850",
        ),
        (
            "rate = { outpatients = 0.30, inpatients = 0.40 }",
            "rate = { outpatients = 0.30, inpatients = 0.5 }",
        ),
    ]


def test_every_number_can_be_changed_in_place(tmp_path):
    case = rs.load_case("msk-toy")
    for path, value in case.numbers().items():
        try:
            other = case.with_numbers({path: 0.9 * value + 0.001})
        except rs.RiskshareError:  # shares must sum to one; ages and bounds have no label yet
            continue
        text = saved(other, tmp_path)
        assert text.count("#") == TOY.count("#"), path
        assert len(set(text.splitlines()) - set(TOY.splitlines())) == 1, path


def test_a_written_default_stays_written(tmp_path):
    text = TOY.replace('unit = "spell"', 'unit = "spell"\ngrowth = 0.0   # none expected')
    path = tmp_path / "case.toml"
    path.write_text(text)
    case = rs.load_case(path)
    rs.save_case(case.with_numbers({"lines.inpatients.price": 4_100}), path)
    assert changed_lines(text, path.read_text()) == [("price = 4_000.0", "price = 4_100.0")]


def test_removed_items_go_and_new_ones_are_appended(tmp_path):
    case = rs.load_case("msk-toy")
    triage = case.line("triage")
    case = dataclasses.replace(
        case,
        title="Two changes to one",
        description="First line.\nSecond line.",
        partners=(*case.partners, rs.Partner(name="county", kind="council")),
        lines=(*case.lines, dataclasses.replace(triage, name="tri age", tags=["new"])),
        changes=case.changes[:1],
        correlations=[rs.Correlation(between=["demand", "case-mix"], value=0.3)],
    )
    text = saved(case, tmp_path)
    assert "fewer-operations" not in text
    assert 'county = {kind = "council"}' in text
    assert '[lines."tri age"]' in text
    assert "# one owner: nobody else may book this saving" in text
    assert "# pays the plan, whatever happens" in text


def test_terms_can_be_dropped_added_and_moved(tmp_path):
    case = rs.load_case("msk-toy")
    contract = case.contract("msk")
    funding, block, support, marginal, pool = contract.terms
    extra = rs.Funding(name="grant", from_="external", to="acute", amount=1e6)
    terms = (extra, block, funding, support, dataclasses.replace(marginal, cap=0.1), pool)
    case = dataclasses.replace(case, contracts=[dataclasses.replace(contract, terms=terms)])
    text = saved(case, tmp_path)
    assert "# pays the plan, whatever happens" in text
    assert "# of price, on valued activity above and below plan" in text
    assert "# the commissioner's outlay" in text
    fewer = dataclasses.replace(
        contract,
        budgets=[dataclasses.replace(contract.budgets[0], stranded_support=None)],
        terms=(block, dataclasses.replace(pool, against=["block"])),
    )
    text = saved(dataclasses.replace(case, contracts=[fewer]), tmp_path)
    assert text.count("[[contracts.msk.terms]]") == 2


def test_items_in_another_order_are_saved_in_that_order(tmp_path):
    case = rs.load_case("msk-toy")
    case = dataclasses.replace(case, lines=case.lines[::-1], partners=case.partners[::-1])
    text = saved(case, tmp_path)
    assert "# chance, once every driver is known" in text


def test_a_case_made_in_python_round_trips(tmp_path):
    shares = {"up": 0.3, "down": {"a": 0.2, "b": [0.1, 0.2]}}
    case = rs.Case(
        name='quotes " and \\ backslashes',
        description="one\ntwo\n",
        currency="JPY",
        price_base="first",
        residual_key={"payer": 0.5, "provider": 0.5},
        years=[
            rs.Year(
                label="first", start=datetime.date(2024, 1, 1), end=datetime.date(2024, 12, 31)
            ),
            rs.Year(label="2025", start=datetime.date(2025, 1, 1), end=datetime.date(2025, 6, 30)),
        ],
        partners=[
            rs.Partner(name="payer", kind="payer", groups=["g"], target=[1.0, -2.5]),
            rs.Partner(name="provider", kind="provider", turnover=1e9),
            rs.Partner(name="outside world", kind="external"),
            rs.Partner(
                name="reserve",
                kind="pool",
                opening_balance=5,
                shortfall={"payer": 1.0},
                release={"payer": 0.5, "provider": 0.5},
            ),
        ],
        members=[rs.Population(name="all", count=[1000, 1100], law="normal", sd=0.01)],
        inflation=[rs.Inflation(name="pay", rate={"first": 0.0, "2025": 0.02})],
        drivers=[
            rs.Driver(name="d", acts_on="activity", interval=[0.9, 1.1], process="random-walk"),
            rs.Driver(name="money", acts_on="funding", law="normal", sd=0.1),
        ],
        correlations=[rs.Correlation(between=["d", "members[all]"], value=-0.25)],
        lines=[
            rs.Line(
                name="a",
                deliverer="provider",
                payer="payer",
                unit_cost=10,
                price={"first": 10, "2025": 11.5},
                baseline=100,
                exposure="all",
                price_series={"pay": 1.0},
                cost=rs.CostBehaviour(
                    variable=0.5,
                    semi_fixed=0.5,
                    step=rs.Step(size=20, unit="beds", length_of_stay=2.5, occupancy=0.85),
                ),
                loadings={"d": 1.0},
                noise=rs.Noise(law="poisson"),
            ),
            rs.Line(
                name="b", deliverer="provider", payer="payer", unit_cost=1, price=1, expected=[5, 6]
            ),
        ],
        changes=[
            rs.Change(
                name="c",
                owner="payer",
                source="a",
                destination="b",
                size=[0.1, 0.2],
                delivery=rs.Delivery(law="lognormal", sd=0.2, centre="median"),
                delay=rs.Delay(interval=[0.0, 0.5]),
            )
        ],
        contracts=[
            rs.Contract(
                name="k",
                years=["first"],
                budgets=[
                    rs.Budget(name="cap", base=1000, planned_changes=False, other={"x y": 5}),
                ],
                terms=[
                    rs.Funding(from_="outside world", to="payer", amount=500, driver="money"),
                    rs.MarginalRate(
                        bands=[rs.Band(beyond=0.01, rate=shares), rs.Band(beyond=0.1, rate=0.5)],
                        break_glass=rs.BreakGlass(
                            threshold=0.2, rate=1.0, reading="whole-deviation"
                        ),
                    ),
                    rs.Pool(
                        name="share",
                        budget="cap",
                        against=["marginal-rate"],
                        holder="payer",
                        key="influence",
                        corridors=[rs.Corridor(beyond=0.01, rate={"gain": 0.5, "loss": 0.25})],
                        phase="backstop",
                        residue="provider",
                    ),
                ],
            )
        ],
        assumptions={"lines.a.price[first]": "a guess"},
    )
    text = saved(case, tmp_path)
    assert tomlkit.parse(text).unwrap() == to_plain(case)
    assert saved(rs.load_case(tmp_path / "saved.toml"), tmp_path) == text


def test_rows_of_a_table_go_back_to_it(with_table, tmp_path):
    case = with_table.with_numbers({"lines.therapy.price": 55, "lines.triage.price": 61})
    text = saved(case, tmp_path)
    assert 'lines = "more.csv"   # from the ledger' in text
    assert "therapy" not in text
    assert "price = 61.0" in text
    table = (tmp_path / "more.csv").read_bytes().decode()
    assert table == TABLE.replace("45.50,50,", "45.50,55.0,")


def test_a_table_saved_unchanged_is_the_same_text(with_table, tmp_path):
    assert saved(with_table, tmp_path) == with_table.origin.text
    assert (tmp_path / "more.csv").read_bytes().decode() == TABLE


def test_new_lines_follow_the_rows_and_new_fields_become_columns(with_table, tmp_path):
    therapy = with_table.line("therapy")
    new = dataclasses.replace(
        therapy, name="new", growth=[0.01], tags=["x"], loadings={"price": 0.5}, baseline=1e4
    )
    lines = (*(line for line in with_table.lines if line.name != "a&e"), new)
    saved(dataclasses.replace(with_table, lines=lines), tmp_path)
    header, *rows = (tmp_path / "more.csv").read_text().splitlines()
    assert header.startswith(TABLE.partition("\r\n")[0])
    assert set(header.split(",")[-3:]) == {"tags", "growth", "loadings[price]"}
    assert [row.partition(",")[0] for row in rows] == ["therapy", "new"]


def test_a_table_without_rows_is_no_longer_named(with_table, tmp_path):
    lines = [line for line in with_table.lines if line.name not in ("a&e", "therapy")]
    text = saved(dataclasses.replace(with_table, lines=lines), tmp_path)
    assert "more.csv" not in text
    assert not (tmp_path / "more.csv").exists()


def test_a_new_case_file_never_changes_a_table_that_is_there(with_table, tmp_path):
    case = with_table.with_numbers({"lines.therapy.price": 55})
    with pytest.raises(rs.ArgumentError, match=r"more\.csv beside it is the table of another"):
        rs.save_case(case, tmp_path / "given" / "other.toml")
    rs.save_case(case, tmp_path / "given" / "case.toml")
    assert rs.load_case(tmp_path / "given" / "case.toml") == case


def test_what_does_not_fit_a_cell_is_written_into_the_case_file(with_table, tmp_path):
    therapy = dataclasses.replace(with_table.line("therapy"), unit=" x ")
    lines = [therapy if line.name == "therapy" else line for line in with_table.lines]
    text = saved(dataclasses.replace(with_table, lines=lines), tmp_path)
    assert "[lines.therapy]" in text


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch, with_table):
    target = tmp_path / "case.toml"
    target.write_text("old")

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="the disk is full"):
        rs.save_case(with_table, target)
    monkeypatch.undo()
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case.toml", "given"]


def test_a_block_that_raises_leaves_the_old_file(tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("old")

    def interrupted():
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_replaced_file_keeps_its_permissions_and_links(tmp_path):
    target, link = tmp_path / "out.txt", tmp_path / "link.txt"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_place_that_cannot_be_written_is_said_in_a_sentence(tmp_path):
    case = rs.load_case("msk-toy")
    with pytest.raises(rs.ArgumentError, match="is a directory; accepted: the path of a file"):
        rs.save_case(case, tmp_path)
    with pytest.raises(rs.ArgumentError, match="cannot be written: No such file or directory"):
        rs.save_case(case, tmp_path / "none" / "case.toml")
