"""``riskshare stress``: stress scenarios on the same draws, and where beliefs break a target."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskshare.cli.options import (
    CaseArgument,
    SamplesOption,
    SeedOption,
    SetOption,
    opened,
    out_option,
    standard_output,
    write_dataset,
)

if TYPE_CHECKING:
    from riskshare.case import Case

_SIZE = "as 0.05, or several as 0.05,-0.05; 0 leaves it out."


def stress(
    case: CaseArgument,
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
    points: Annotated[int, typer.Option(min=32, help="Points of that search.")] = 512,
    samples: SamplesOption = 16_384,
    seed: SeedOption = 1,
    set_: SetOption = None,
    out: Annotated[Path | None, out_option("stress.nc and discovery.nc")] = None,
) -> None:
    """Print what stress scenarios do to each partner, and which targets stop holding."""
    import riskshare as rs
    from riskshare.analysis.discovery import refuse_beliefs
    from riskshare.cli.settings import print_settings
    from riskshare.report.stress import print_discovery, print_stress

    loaded, told = opened(case, set_, out)
    beliefs = _beliefs(loaded, belief)
    if beliefs and not target:
        raise rs.ArgumentError("--belief goes with --target CONDITION, which it may break")
    if beliefs:
        refuse_beliefs(loaded, beliefs)
    table = rs.stress(
        loaded,
        _scenarios(loaded, scenario),
        shock=_sizes("--shock", shock),
        trend=_sizes("--trend", trend),
        benchmark=_sizes("--benchmark", benchmark),
        coding=_sizes("--coding", coding),
        late=_sizes("--late", late),
        targets=tuple(target or ()),
        samples=samples,
        seed=seed,
    )
    console = standard_output()
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
            write_dataset(out / name, result, told)


def _number(option: str, text: str, unit: str, currency: str | None = None) -> float:
    """Return a number as cells of tables have it: ``5%`` of shares, ``1,234`` of money."""
    from riskshare.errors import ArgumentError
    from riskshare.files.numbers import NumberError, read_number, refusal

    try:
        return read_number(text.strip().replace("_", ""), unit, currency)
    except NumberError as error:
        accepted = f"a number ({unit})" if unit else "a number"
        raise ArgumentError(f"{option}: {refusal(text, str(error), accepted)}") from None


def _sizes(option: str, text: str) -> tuple[float, ...]:
    """Return shares; a percentage that stands as a number is asked about."""
    from riskshare.errors import ArgumentError

    found = tuple(_number(option, part, "share") for part in text.split(","))
    for size in found:
        if abs(size) > 1:
            raise ArgumentError(
                f"{option}: found {size:g}, which is {100 * size:g} %; did you mean "
                f"{size / 100:g}? accepted: shares from -1 to 1"
            )
    return found


def _units(case: "Case") -> dict[str, str]:
    return {path: parameter.unit for path, _, parameter in case.declared_numbers()}


def _scenarios(case: "Case", stated: list[str] | None) -> dict[str, dict[str, float]]:
    """Return numbers by path by name of the scenario."""
    from riskshare.errors import ArgumentError

    found: dict[str, dict[str, float]] = {}
    units = _units(case) if stated else {}
    for text in stated or ():
        name, colon, rest = text.partition(":")
        path, equals, value = (part.strip() for part in rest.rpartition("="))
        if not (colon and equals and name.strip() and path):
            raise ArgumentError(
                f"--scenario {text}: accepted: a name, a path and its value, as "
                "dear: drivers.price.sd=0.03"
            )
        option = f"--scenario {name.strip()}: {path}"
        number = _number(option, value, units.get(path, ""), case.currency)
        found.setdefault(name.strip(), {})[path] = number
    return found


def _beliefs(case: "Case", stated: list[str] | None) -> dict[str, tuple[float, float]]:
    """Return the ranges that options state, by path."""
    from riskshare.errors import ArgumentError

    found = {}
    units = _units(case) if stated else {}
    for text in stated or ():
        path, equals, ends = (part.strip() for part in text.rpartition("="))
        low, colon, high = ends.partition(":")
        if not (equals and colon and path):
            raise ArgumentError(
                f"--belief {text}: accepted: a path, lowest and highest value, as "
                "drivers.demand.sd=0.01:0.06"
            )
        option, unit = f"--belief {path}", units.get(path, "")
        ends_of = [_number(option, end, unit, case.currency) for end in (low, high)]
        found[path] = ends_of[0], ends_of[1]
    return found
