"""``riskshare influence``: who bears what of each driver, against who controls it."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def influence(
    case: Annotated[
        str,
        typer.Argument(metavar="CASE", help="A bundled case (see `riskshare cases`) or a file."),
    ],
    samples: Annotated[int, typer.Option(help="How many samples, rounded up for Sobol'.")] = 16_384,
    seed: Annotated[int, typer.Option(help="Seed of the random streams.")] = 1,
    level: Annotated[
        float, typer.Option(help="Confidence of the tail: 0.95 for the worst 1 in 20.")
    ] = 0.95,
    permutations: Annotated[
        int | None,
        typer.Option(
            help="Random orders of drivers for each replicate.",
            show_default="all coalitions of up to 7 drivers, else 4",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder to write the table to.")
    ] = None,
) -> None:
    """Print how far risk sits with those who can influence it, driver by driver."""
    import riskshare as rs
    from riskshare.files.results import make_folder
    from riskshare.report.attribution import write_statistics
    from riskshare.report.influence import print_influence
    from riskshare.report.whole import screen

    loaded = rs.load_case(case)
    if out is not None:
        make_folder(out)
    found = rs.influence(
        loaded, samples=samples, seed=seed, levels=(level,), permutations=permutations
    )
    console = screen(sys.stdout, None if sys.stdout.isatty() else 100)
    print_influence(console, loaded, found)
    if out is not None:
        typer.echo(f"wrote {write_statistics(out / 'influence.csv', found)}")
