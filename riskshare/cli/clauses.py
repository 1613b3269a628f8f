"""``riskshare clauses``: how often each clause binds, and what one more unit of effort pays."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from riskshare.cli.settings import SetOption


def clauses(
    case: Annotated[
        str,
        typer.Argument(metavar="CASE", help="A bundled case (see `riskshare cases`) or a file."),
    ],
    samples: Annotated[int, typer.Option(help="How many samples, rounded up.")] = 16_384,
    seed: Annotated[int, typer.Option(help="Seed of the random streams.")] = 1,
    of: Annotated[
        str,
        typer.Option(help="The partner or group whose position puts outcomes in order."),
    ] = "system",
    effort: Annotated[
        float, typer.Option(help="Effort, as a share of a line's plan or of unit cost.")
    ] = 0.01,
    set_: SetOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder to write clauses.nc to.")
    ] = None,
) -> None:
    """Print how often each clause binds, and what one more unit of effort pays whom and when."""
    import riskshare as rs
    from riskshare.cli.settings import noted, print_settings, with_settings
    from riskshare.files.atomic import replacing
    from riskshare.files.results import make_folder
    from riskshare.report.clauses import print_clauses
    from riskshare.report.whole import screen

    loaded, told = with_settings(rs.load_case(case), set_)
    if out is not None:
        make_folder(out)
    found = rs.clauses(loaded, samples=samples, seed=seed, of=of, effort=effort)
    console = screen(sys.stdout, None if sys.stdout.isatty() else 132)
    print_settings(console, told)
    print_clauses(console, loaded, found)
    if out is not None:
        with replacing(out / "clauses.nc") as temporary:
            noted(found, told).to_netcdf(temporary, engine="h5netcdf")
        typer.echo(f"wrote {out / 'clauses.nc'}")
