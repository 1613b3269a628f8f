"""The command line, ``riskshare COMMAND``: one for each question.

Only typer is imported to print help; a command imports what it needs when it runs.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskshare.cli.attribute import attribute
from riskshare.cli.bench import bench
from riskshare.cli.clauses import clauses
from riskshare.cli.compare import compare
from riskshare.cli.decide import calibrate, sensitivities
from riskshare.cli.estimate import estimate
from riskshare.cli.fit import fit
from riskshare.cli.influence import influence
from riskshare.cli.options import (
    CaseArgument,
    DiscountOption,
    PricesOption,
    SeedOption,
    SetOption,
    fitting_memory,
    money_of_years,
    opened,
    out_option,
    sampler_option,
    samples_option,
    standard_output,
)
from riskshare.cli.stress import stress

if TYPE_CHECKING:
    from riskshare.errors import ExperienceError

app = typer.Typer(
    name="riskshare",
    help="Who bears what: how the result of each partner of a capitated budget is distributed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ResultsOption = Annotated[Path | None, out_option("the results")]

FEWER = "take fewer --samples, or the table alone: riskshare estimate, which holds no samples"
"""What to do on the command line where a run does not fit the memory."""


@app.command()
def cases() -> None:
    """List the bundled cases, one a line, its name first."""
    from riskshare.files.bundled import case_titles

    titles = case_titles()
    width = max(map(len, titles))
    for name, title in titles.items():
        typer.echo(f"{name:<{width}}  {title}")


@app.command()
def run(
    case: CaseArgument,
    samples: Annotated[int | None, samples_option("65536, or as drawn")] = None,
    seed: SeedOption = 1,
    sampler: Annotated[str | None, sampler_option("sobol")] = None,
    draws: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A planner's own draws: columns run, line, year, value (CSV or parquet).",
        ),
    ] = None,
    drivers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Drivers that go with them: columns run, variable, name, year, value.",
        ),
    ] = None,
    chance: Annotated[
        str | None,
        typer.Option(
            help="Whether drawn activity has the lines' own chance in it: included, or on-top to "
            "have it added."
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option(help="How often each run is met by fresh draws of all else.")
    ] = 1,
    discount_rate: DiscountOption = None,
    prices: PricesOption = "nominal",
    set_: SetOption = None,
    out: ResultsOption = None,
) -> None:
    """Simulate a case and print how each partner's result is distributed."""
    import riskshare as rs
    from riskshare.cli.progress import counting
    from riskshare.cli.settings import noted, print_settings
    from riskshare.report.distribution import print_distribution
    from riskshare.report.uncertainty import print_uncertainty, print_waiting, states_errors

    of_draws = {"--drivers": drivers, "--chance": chance, "--repeats": repeats != 1 or None}
    for option, stated in of_draws.items():
        if draws is None and stated is not None:
            raise rs.ArgumentError(f"{option} goes with --draws FILE; give both")
    loaded, told = opened(case, set_, out)
    money_of_years(loaded, discount_rate, prices)
    given = None if draws is None else rs.read_draws(draws, loaded, drivers=drivers)
    remedy = FEWER if draws is None else "take fewer --repeats, or fewer runs in --draws"
    with fitting_memory(remedy), counting("simulating") as progress:
        outcomes = rs.simulate(
            loaded,
            samples=samples,
            seed=seed,
            sampler=sampler,
            given=given,
            chance=chance,
            repeats=repeats,
            progress=progress,
        )
    outcomes = noted(outcomes, told)
    table = rs.summarise(outcomes, discount_rate=discount_rate, prices=prices)
    screen = standard_output()
    print_settings(screen, told)
    print_distribution(screen, loaded, table)
    if "waiting_list" in outcomes:
        screen.print()
        print_waiting(screen, outcomes)
    if given is None and states_errors(loaded):
        screen.print()
        try:
            split = rs.uncertainty(loaded, samples=min(outcomes.sizes["sample"], 65_536), seed=seed)
        except rs.ArgumentError as error:
            screen.print(f"The spread is not split by source: {error}")
        else:
            print_uncertainty(screen, loaded, split)
    if out is not None:
        from riskshare.files.results import write_run

        for path in write_run(out, outcomes, table):
            typer.echo(f"wrote {path}")


@app.command()
def settle(
    case: CaseArgument,
    actuals: Annotated[
        Path,
        typer.Argument(
            metavar="ACTUALS.csv",
            help="Columns line, year, activity; optional unit_cost, case_mix, cost.",
        ),
    ],
    drivers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Columns variable, name, year, value: driver indices, members."
        ),
    ] = None,
    missing: Annotated[
        str,
        typer.Option(
            help="error, or plan: fill missing rows and blank cells from plan, and name them."
        ),
    ] = "error",
    opening: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Balances carried in: columns state, value."),
    ] = None,
    statement: Annotated[
        bool,
        typer.Option(
            "--statement",
            help="Print the full account: what happened, each clause line by line, who pays whom.",
        ),
    ] = False,
    set_: SetOption = None,
    out: ResultsOption = None,
) -> None:
    """Settle a case on what really happened and print the statement."""
    import riskshare as rs
    from riskshare.cli.settings import noted, print_settings
    from riskshare.files.actuals import read_opening
    from riskshare.report.account_text import print_account
    from riskshare.report.statement import print_statement

    loaded, told = opened(case, set_, out)
    experience = rs.read_actuals(loaded, actuals, drivers=drivers)
    balances = None if opening is None else read_opening(opening, loaded.currency)
    try:
        result = rs.settle(loaded, experience, missing=missing, opening=balances)
    except rs.ExperienceError as error:
        raise _in_files(error, actuals, drivers, opening) from None
    screen = standard_output()
    print_settings(screen, told)
    if statement:
        print_account(screen, loaded, result)
    else:
        print_statement(screen, loaded, result)
    if out is not None:
        from riskshare.files.results import write_settlement
        from riskshare.report.account import rows_of, write_account

        account = write_account(out / "statement.csv", loaded, rows_of(loaded, result))
        for path in (*write_settlement(out, noted(result, told)), account):
            typer.echo(f"wrote {path}")


@app.command()
def check(
    case: CaseArgument,
    samples: Annotated[int, typer.Option(help="Draws from which probabilities come.")] = 16_384,
    seed: SeedOption = 1,
    span: Annotated[
        float, typer.Option(help="How far around plan to look, as a share of plan.")
    ] = 0.5,
    set_: SetOption = None,
) -> None:
    """Check what the contracts of a case do; the exit status is 1 where there is an error."""
    import riskshare as rs
    from riskshare.cli.settings import print_settings
    from riskshare.report.check import print_check

    loaded, told = opened(case, set_)
    found = rs.check(loaded, samples=samples, seed=seed, span=span)
    screen = standard_output()
    print_settings(screen, told)
    print_check(screen, loaded, found)
    if not found.passed:
        raise typer.Exit(1)


app.command()(clauses)
app.command()(stress)
app.command()(estimate)
app.command()(compare)
app.command()(sensitivities)
app.command()(calibrate)
app.command()(attribute)
app.command()(influence)
app.command()(fit)
app.command()(bench)


def _in_files(
    error: "ExperienceError", actuals: Path, drivers: Path | None, opening: Path | None
) -> "ExperienceError":
    """Return the error as somebody at the command line needs it: file first, options by name."""
    from riskshare.errors import ExperienceError, Problem

    problems = []
    for problem in error.problems:
        if problem.path.startswith(("driver_index", "members", "quality")):
            file = f"{drivers}: " if drivers else "--drivers FILE: "
        elif problem.path.startswith("opening"):
            file = f"{opening}: " if opening else "--opening FILE: "
        else:
            file = f"{actuals}: "
        message = problem.message.replace('missing="plan"', "--missing plan").replace(
            "opening = closing of their settlement", "--opening FILE, the closing.csv of theirs"
        )
        problems.append(Problem(f"{file}{problem.path}", message))
    return ExperienceError(problems)


def main() -> None:
    """Run the command line; what a user got wrong ends with status 2 and no traceback."""
    from riskshare.errors import RiskshareError
    from riskshare.run.cache import offer_compilation_cache

    offer_compilation_cache()
    try:
        app()
    except RiskshareError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(2) from None
