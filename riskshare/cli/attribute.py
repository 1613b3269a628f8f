"""``riskshare attribute``: what makes up each position, by driver, term, line and year."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def attribute(
    case: Annotated[
        str,
        typer.Argument(metavar="CASE", help="A bundled case (see `riskshare cases`) or a file."),
    ],
    samples: Annotated[int, typer.Option(help="How many samples, rounded up for Sobol'.")] = 16_384,
    seed: Annotated[int, typer.Option(help="Seed of the random streams.")] = 1,
    partner: Annotated[
        list[str] | None,
        typer.Option(help="Partner or group to print; may be given more than once."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="driver, term, line, year or member; may be given more than once.",
            show_default="all of them",
        ),
    ] = None,
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
    discount_rate: Annotated[
        float | None, typer.Option(help="Rate a year at which all years are added up, as 0.035.")
    ] = None,
    prices: Annotated[
        str, typer.Option(help="nominal, or real: in prices of the case's price base.")
    ] = "nominal",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder to write the table to.")
    ] = None,
) -> None:
    """Print each position from plan to mean by driver, term, line and year, and its tail."""
    import riskshare as rs
    from riskshare.files.results import make_folder
    from riskshare.report.attribution import print_attribution, write_statistics
    from riskshare.report.whole import screen

    loaded = rs.load_case(case)
    if out is not None:
        make_folder(out)
    known = {one.name for one in loaded.partners}
    known |= {"system", *(group for one in loaded.partners for group in one.groups)}
    for name in partner or ():
        if name not in known:
            raise rs.ArgumentError(f"--partner {name}: accepted: {', '.join(sorted(known))}")
    parts = rs.attribute(
        loaded,
        samples=samples,
        seed=seed,
        levels=(level,),
        by=tuple(by or ("driver", "term", "line", "year", "member")),
        permutations=permutations,
        discount_rate=discount_rate,
        prices=prices,
    )
    console = screen(sys.stdout, None if sys.stdout.isatty() else 100)
    print_attribution(console, loaded, parts, tuple(partner or ()))
    if out is not None:
        typer.echo(f"wrote {write_statistics(out / 'attribution.csv', parts)}")
