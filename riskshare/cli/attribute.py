"""``riskshare attribute``: what makes up each position, by driver, term, line and year."""

from pathlib import Path
from typing import Annotated

import typer

from riskshare.cli.options import (
    CaseArgument,
    DiscountOption,
    LevelOption,
    PartnerOption,
    PermutationsOption,
    PricesOption,
    SamplesOption,
    SeedOption,
    SetOption,
    fitting_memory,
    folder,
    opened,
    positions_of,
    standard_output,
)


def attribute(
    case: CaseArgument,
    samples: SamplesOption = 16_384,
    seed: SeedOption = 1,
    partner: PartnerOption = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="driver, term, line, year or member; may be given more than once.",
            show_default="all of them",
        ),
    ] = None,
    level: LevelOption = 0.95,
    permutations: PermutationsOption = None,
    discount_rate: DiscountOption = None,
    prices: PricesOption = "nominal",
    set_: SetOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR|FILE",
            help="Folder to write the table and its waterfalls to, or one file: .csv the table, "
            ".svg or .html the waterfalls.",
        ),
    ] = None,
) -> None:
    """Print each position from plan to mean by driver, term, line and year, and its tail."""
    import riskshare as rs
    from riskshare.cli.settings import print_settings
    from riskshare.report.attribution import print_attribution, write_statistics
    from riskshare.report.picture import write_waterfalls

    files = _files(out)
    loaded, told = opened(case, set_)
    names = positions_of(loaded, partner)
    for file in files:
        folder(file.parent)
    with fitting_memory("take fewer --samples"):
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
    console = standard_output(100)
    print_settings(console, told)
    print_attribution(console, loaded, parts, names)
    for file in files:
        if file.suffix == ".csv":
            write_statistics(file, parts)
        else:
            write_waterfalls(file, loaded, parts, names)
        typer.echo(f"wrote {file}")


def _files(out: Path | None) -> tuple[Path, ...]:
    """Return what to write: the one file that is named, or the table and the page in a folder."""
    from riskshare.errors import ArgumentError

    if out is None:
        return ()
    if out.suffix in (".png", ".pdf", ".jpg", ".htm", ".json", ".nc", ".txt", ".xls", ".xlsx"):
        raise ArgumentError(f"--out {out}: accepted: a file .csv, .svg or .html, or a folder")
    if out.suffix in (".csv", ".svg", ".html"):
        return (out,)
    return out / "attribution.csv", out / "attribution.html"
