"""Options that several commands have: each declared once, with its help and what it is checked for.

Only typer is imported here, so that help is printed at once.
"""

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import xarray as xr
    from rich.console import Console

    from riskshare.case import Case
    from riskshare.cli.settings import Setting

CaseArgument = Annotated[
    str, typer.Argument(metavar="CASE", help="A bundled case (see `riskshare cases`) or a file.")
]
SamplesOption = Annotated[int, typer.Option(help="How many samples, rounded up for Sobol'.")]
SeedOption = Annotated[int, typer.Option(help="Seed of the random streams.")]
DiscountOption = Annotated[
    float | None, typer.Option(help="Rate a year at which all years are added up, as 0.035.")
]
PricesOption = Annotated[
    str, typer.Option(help="nominal, or real: in prices of the case's price base.")
]
LevelOption = Annotated[
    float, typer.Option(help="Confidence of the tail: 0.95 for the worst 1 in 20.")
]
PermutationsOption = Annotated[
    int | None,
    typer.Option(
        help="Random orders of drivers for each replicate.",
        show_default="all coalitions of up to 7 drivers, else 4",
    ),
]
PartnerOption = Annotated[
    list[str] | None,
    typer.Option(help="Partner or group to print; may be given more than once."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        # the backslash, because help is markup, which would take the brackets for a style
        help='Another number or word than the file has, as "msk.pool.share\\[acute]=0.4"; `none` '
        "leaves out what may be left out. May be given more than once; all are set together.",
    ),
]


def samples_option(unless: str, words: str = "How many samples, rounded up for Sobol'.") -> Any:
    """Return the option of a number of samples that follows from others unless it is given."""
    return typer.Option(help=words, show_default=unless)


def sampler_option(unless: str | None = None) -> Any:
    """Return the option of a sampler; ``unless`` where the default follows from other options."""
    return typer.Option(help="sobol or pseudo-random.", show_default=unless or True)


def device_option(unless: str) -> Any:
    """Return the option of what computes."""
    return typer.Option(help="cpu, gpu, or one of them as gpu:0.", show_default=unless)


def out_option(what: str) -> Any:
    """Return the option of a folder to write something to."""
    return typer.Option("--out", metavar="DIR", help=f"Folder to write {what} to.")


def opened(
    case: str, stated: "Sequence[str] | None" = None, out: Path | None = None
) -> "tuple[Case, tuple[Setting, ...]]":
    """Return a case with what ``--set`` says, and what that was; make the folder for results.

    Raises
    ------
    ArgumentError
        For a case that cannot be read, what cannot be set, and a folder that cannot be made: all
        before any work is done.
    """
    import riskshare as rs
    from riskshare.cli.settings import with_settings

    loaded, told = with_settings(rs.load_case(case), stated)
    folder(out)
    return loaded, told


@contextmanager
def fitting_memory(remedy: str) -> "Iterator[None]":
    """Say what to do on the command line where what is run does not fit the memory.

    Raises
    ------
    ArgumentError
        Where a run is too large, with this remedy.
    """
    from riskshare.errors import ArgumentError, TooLargeError

    try:
        yield
    except TooLargeError as error:
        raise ArgumentError(f"{error.found}; {remedy}") from None


def folder(out: Path | None) -> None:
    """Make the folder for results before any work is done for it."""
    if out is not None:
        from riskshare.files.results import make_folder

        make_folder(out)


def one_of(option: str, value: str, known: "Iterable[str]") -> str:
    """Return a word that an option takes.

    Raises
    ------
    ArgumentError
        For another one, with what is accepted, the nearest first.
    """
    accepted = tuple(known)
    if value not in accepted:
        from riskshare.checks.given import suggest
        from riskshare.errors import ArgumentError

        raise ArgumentError(f"{option} {value}: {suggest(value, accepted)}")
    return value


def positions_of(
    case: "Case", partners: "Sequence[str] | None", option: str = "--partner"
) -> tuple[str, ...]:
    """Return the partners and groups that an option names, of those there are."""
    groups = [group for one in case.partners for group in one.groups]
    known = dict.fromkeys([*(one.name for one in case.partners), "system", *groups])
    return tuple(one_of(option, name, known) for name in partners or ())


def money_of_years(case: "Case", discount_rate: float | None, prices: str) -> None:
    """Refuse a discount rate or prices that a case cannot have, before any work is done."""
    import xarray as xr

    from riskshare.outcomes import coordinates
    from riskshare.summary.money import discount_rate_of, year_weights

    year_weights(xr.Dataset(coords=coordinates(case)), discount_rate_of(discount_rate), prices)


def writable(option: str, path: Path) -> Path:
    """Return a file that can be written; refuse one that cannot before any work is done for it."""
    parent = path.resolve().parent
    if path.is_dir() or not parent.is_dir():
        from riskshare.errors import ArgumentError

        what = "a folder" if path.is_dir() else "in no folder there is"
        raise ArgumentError(
            f"{option} is {path}, which is {what}; accepted: a file in a folder that is there"
        )
    return path


def standard_output(width: int = 132) -> "Console":
    """Return standard output; of a stated width where it is not a terminal."""
    from riskshare.report.whole import screen

    return screen(sys.stdout, None if sys.stdout.isatty() else width)


def write_dataset(path: Path, table: "xr.Dataset", told: "Sequence[Setting]" = ()) -> None:
    """Write a result as netCDF, with what was set, and say so."""
    from riskshare.cli.settings import noted
    from riskshare.files.atomic import replacing

    with replacing(path) as temporary:
        noted(table, told).to_netcdf(temporary, engine="h5netcdf")
    typer.echo(f"wrote {path}")
