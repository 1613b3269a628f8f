"""``riskshare stress``: stress scenarios on the same draws, and where beliefs break a target."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from riskshare.cli.settings import SetOption

_SIZE = "as 0.05, or several as 0.05,-0.05; 0 leaves it out."


def stress(
    case: Annotated[
        str,
        typer.Argument(metavar="CASE", help="A bundled case (see `riskshare cases`) or a file."),
    ],
    shock: Annotated[str, typer.Option(help=f"Level of each driver, {_SIZE}")] = "0.05",
    trend: Annotated[str, typer.Option(help=f"Growth of each driver a year, {_SIZE}")] = "0.02",
    benchmark: Annotated[str, typer.Option(help=f"Plan and budgets too high by, {_SIZE}")] = "0.02",
    coding: Annotated[str, typer.Option(help=f"Recorded case mix above real, {_SIZE}")] = "0.02",
    late: Annotated[str, typer.Option(help=f"Activity missing at settlement, {_SIZE}")] = "0.02",
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:PATH=VALUE",
            help='A scenario of numbers, as "dear: drivers.price.sd=0.03"; the same name again '
            "adds a number to it.",
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help='What is to hold, as "position_probability_of_deficit\\[acute] <= 0.1"; may be '
            "given more than once.",
        ),
    ] = None,
    belief: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH=LOW:HIGH",
            help="A range of belief, as drivers.demand.sd=0.01:0.06; where in all of them together "
            "the targets fail is then searched for.",
        ),
    ] = None,
    points: Annotated[int, typer.Option(help="Points of that search.")] = 512,
    samples: Annotated[int, typer.Option(help="How many samples, rounded up.")] = 16_384,
    seed: Annotated[int, typer.Option(help="Seed of the random streams.")] = 1,
    set_: SetOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder to write stress.nc and discovery.nc to."),
    ] = None,
) -> None:
    """Print what stress scenarios do to each partner, and which targets stop holding."""
    import riskshare as rs
    from riskshare.cli.settings import noted, print_settings, with_settings
    from riskshare.files.atomic import replacing
    from riskshare.files.results import make_folder
    from riskshare.report.stress import print_discovery, print_stress
    from riskshare.report.whole import screen

    loaded, told = with_settings(rs.load_case(case), set_)
    if out is not None:
        make_folder(out)
    beliefs = _beliefs(belief)
    if beliefs and not target:
        raise rs.ArgumentError("--belief goes with --target CONDITION, which it may break")
    table = rs.stress(
        loaded,
        _scenarios(scenario),
        shock=_sizes("--shock", shock),
        trend=_sizes("--trend", trend),
        benchmark=_sizes("--benchmark", benchmark),
        coding=_sizes("--coding", coding),
        late=_sizes("--late", late),
        targets=tuple(target or ()),
        samples=samples,
        seed=seed,
    )
    console = screen(sys.stdout, None if sys.stdout.isatty() else 132)
    print_settings(console, told)
    print_stress(console, loaded, table)
    results = {"stress.nc": table}
    if beliefs:
        found = rs.discover(loaded, beliefs, tuple(target or ()), count=points, seed=seed)
        console.print()
        print_discovery(console, found)
        results["discovery.nc"] = found
    if out is not None:
        for name, result in results.items():
            with replacing(out / name) as temporary:
                noted(result, told).to_netcdf(temporary, engine="h5netcdf")
            typer.echo(f"wrote {out / name}")


def _number(option: str, text: str) -> float:
    from riskshare.errors import ArgumentError

    try:
        return float(text.strip().replace("_", ""))
    except ValueError:
        raise ArgumentError(f"{option}: found {text!r}; accepted: a number") from None


def _sizes(option: str, text: str) -> tuple[float, ...]:
    return tuple(_number(option, part) for part in text.split(","))


def _scenarios(stated: list[str] | None) -> dict[str, dict[str, float]]:
    """Return numbers by path by name of the scenario."""
    from riskshare.errors import ArgumentError

    found: dict[str, dict[str, float]] = {}
    for text in stated or ():
        name, colon, rest = text.partition(":")
        path, equals, value = rest.rpartition("=")
        if not (colon and equals and name.strip() and path.strip()):
            raise ArgumentError(
                f"--scenario {text}: accepted: a name, a path and its value, as "
                "dear: drivers.price.sd=0.03"
            )
        number = _number(f"--scenario {name.strip()}: {path.strip()}", value)
        found.setdefault(name.strip(), {})[path.strip()] = number
    return found


def _beliefs(stated: list[str] | None) -> dict[str, tuple[float, float]]:
    """Return the ranges that options state, by path."""
    from riskshare.errors import ArgumentError

    found = {}
    for text in stated or ():
        path, equals, ends = text.rpartition("=")
        low, colon, high = ends.partition(":")
        if not (equals and colon and path.strip()):
            raise ArgumentError(
                f"--belief {text}: accepted: a path, lowest and highest value, as "
                "drivers.demand.sd=0.01:0.06"
            )
        option = f"--belief {path.strip()}"
        found[path.strip()] = (_number(option, low), _number(option, high))
    return found
