"""``riskshare sensitivities`` and ``riskshare calibrate``."""

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from riskshare.cli.options import (
    CaseArgument,
    SamplesOption,
    SeedOption,
    SetOption,
    out_option,
    writable,
)

if TYPE_CHECKING:
    from riskshare.case import Case


def sensitivities(
    case: CaseArgument,
    paths: Annotated[
        str, typer.Option(help="contracts, all, or paths with commas between them.")
    ] = "contracts",
    partner: Annotated[
        list[str] | None, typer.Option(help="Whose results; all unless given.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Numbers shown for each partner.")] = 12,
    samples: SamplesOption = 65_536,
    seed: SeedOption = 1,
    set_: SetOption = None,
    out: Annotated[Path | None, out_option("sensitivities.nc")] = None,
) -> None:
    """Print what a hundredth more of each number does to each partner's result."""
    import riskshare as rs
    from riskshare.cli.settings import print_settings, with_settings
    from riskshare.files.results import make_folder
    from riskshare.report.decisions import print_sensitivities
    from riskshare.report.whole import screen

    loaded, told = with_settings(rs.load_case(case), set_)
    if out is not None:
        make_folder(out)
    inside = [one.name for one in loaded.partners if one.kind != "external"]
    table = rs.sensitivities(
        loaded,
        paths=paths if paths in ("contracts", "all") else _paths(paths),
        partners=partner or inside,
        samples=samples,
        seed=seed,
    )
    console = screen(sys.stdout, None if sys.stdout.isatty() else 132)
    print_settings(console, told)
    print_sensitivities(console, loaded, table, most)
    if out is not None:
        _write(out / "sensitivities.nc", table)


def calibrate(
    case: CaseArgument,
    free: Annotated[
        list[str],
        typer.Option(
            metavar="PATH=LOW:HIGH",
            help="A number that may move, with its bounds, as msk.funding.amount=10e6:25e6; the "
            "bounds of a share may be left out.",
        ),
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATISTIC=VALUE",
            help='What is to hold exactly, as "position_mean\\[acute]=0".',
        ),
    ] = None,
    at_least: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATISTIC=VALUE", help='As "position_quantile\\[acute,0.05]=-500000".'
        ),
    ] = None,
    at_most: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATISTIC=VALUE", help='As "position_probability_of_deficit\\[acute]=0.05".'
        ),
    ] = None,
    minimise: Annotated[
        str | None,
        typer.Option(
            help="A statistic or a free number; with a minus in front, as large as can be.",
            show_default="the least change",
        ),
    ] = None,
    status_quo: Annotated[
        str | None,
        typer.Option(
            metavar="CASE",
            help="What stands as long as nothing is agreed: a bundled case, a file, or a version "
            "of this one: block, activity, blended, capitated, pooled.",
        ),
    ] = None,
    appetite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATISTICS",
            help="Nobody is to be worse off than under the status quo, each by what it counts: "
            '"mean - 0.5 tail_value_at_risk\\[0.95]"; "acute=mean" is one partner alone.',
        ),
    ] = None,
    samples: SamplesOption = 65_536,
    seed: SeedOption = 1,
    set_: SetOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="File to write the calibrated case to (.toml)."),
    ] = None,
) -> None:
    """Find the numbers of a contract at which stated results hold."""
    import riskshare as rs
    from riskshare.cli.settings import print_settings, with_settings
    from riskshare.report.decisions import print_calibration
    from riskshare.report.whole import screen

    if out is not None:
        writable("--out", out)
    loaded, told = with_settings(rs.load_case(case), set_)
    exactly, least, most = (
        _once(option, map(partial(_statement, option), given or ()))
        for option, given in (
            ("--target", target),
            ("--at-least", at_least),
            ("--at-most", at_most),
        )
    )
    names = dict.fromkeys([*least, *most])
    constraints = {name: (least.get(name), most.get(name)) for name in names}
    bounded = _once("--free", map(_bounds, free))
    if not (exactly or constraints or minimise or appetite):
        raise rs.ArgumentError(
            "nothing is asked for; give --target, --at-least, --at-most, --appetite or --minimise"
        )
    alone = [path for path, ends in bounded.items() if ends is None]
    if alone and len(alone) < len(bounded):
        raise rs.ArgumentError(f"--free {alone[0]}: give bounds for all of them, or for none")
    counted = _appetite(appetite)
    if counted and status_quo is None:
        raise rs.ArgumentError("--appetite goes with --status-quo CASE; give both")
    found = rs.calibrate(
        loaded,
        free=alone or {path: ends for path, ends in bounded.items() if ends is not None},
        targets=exactly,
        constraints=constraints,
        minimise=minimise,
        status_quo=_status_quo(loaded, status_quo),
        appetite=counted,
        samples=samples,
        seed=seed,
    )
    console = screen(sys.stdout, None if sys.stdout.isatty() else 132)
    print_settings(console, told)
    print_calibration(console, loaded, found)
    if found.case is None:
        raise typer.Exit(1)
    if out is not None:
        rs.save_case(found.case, out)
        typer.echo(f"wrote {out}")


def _paths(text: str) -> list[str]:
    """Return paths with commas between them; those inside brackets are a path's own."""
    import re

    return [part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip()]


def _status_quo(case: "Case", name: str | None) -> "Case | None":
    """Return a version of the case, or another one."""
    import riskshare as rs
    from riskshare.analysis.variants import VARIANTS

    if name is None:
        return None
    return rs.variants(case)[name] if name in VARIANTS else rs.load_case(name)


def _appetite(given: list[str] | None) -> str | dict[str, str] | None:
    """Return what partners count: one for all, or by partner."""
    from riskshare.errors import ArgumentError

    if not given:
        return None
    stated = [_named(text) for text in given]
    everybody = [counted for name, counted in stated if not name]
    if everybody and len(stated) > 1:
        raise ArgumentError(
            f"--appetite {everybody[0]!r} is for everybody; accepted: it alone, or "
            "PARTNER=STATISTICS for each"
        )
    return everybody[0] if everybody else _once("--appetite", stated)


def _named(text: str) -> tuple[str, str]:
    name, equals, counted = text.partition("=")
    return (name.strip(), counted.strip()) if equals else ("", text.strip())


Stated = TypeVar("Stated")


def _once(option: str, stated: Iterable[tuple[str, Stated]]) -> dict[str, Stated]:
    """Return what an option states by name; it may not state another value for one of them."""
    from riskshare.errors import ArgumentError

    found: dict[str, Stated] = {}
    for name, value in stated:
        if name in found:
            raise ArgumentError(f"{option} {name} stands twice; give it once")
        found[name] = value
    return found


def _statement(option: str, text: str) -> tuple[str, float]:
    from riskshare.errors import ArgumentError

    name, _, value = text.rpartition("=")
    try:
        return name.strip(), float(value.replace("_", ""))
    except ValueError:
        raise ArgumentError(
            f"{option} {text!r}; accepted: STATISTIC=VALUE, as position_mean[acute]=0"
        ) from None


def _bounds(text: str) -> tuple[str, tuple[float, float] | None]:
    from riskshare.errors import ArgumentError

    path, equals, ends = text.rpartition("=")
    if not equals:
        return text.strip(), None
    low, _, high = ends.partition(":")
    try:
        return path.strip(), (float(low.replace("_", "")), float(high.replace("_", "")))
    except ValueError:
        raise ArgumentError(f"--free {text!r}; accepted: PATH=LOW:HIGH, as 10e6:25e6") from None


def _write(path: Path, table: object) -> None:
    import xarray as xr

    from riskshare.files.atomic import replacing

    assert isinstance(table, xr.Dataset)
    with replacing(path) as beside:
        table.to_netcdf(beside, engine="h5netcdf")
    typer.echo(f"wrote {path}")
