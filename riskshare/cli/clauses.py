"""``riskshare clauses``: how often each clause binds, and what one more unit of effort pays."""

from pathlib import Path
from typing import Annotated

import typer

from riskshare.cli.options import (
    CaseArgument,
    SamplesOption,
    SeedOption,
    SetOption,
    opened,
    out_option,
    positions_of,
    standard_output,
    write_dataset,
)


def clauses(
    case: CaseArgument,
    samples: SamplesOption = 16_384,
    seed: SeedOption = 1,
    of: Annotated[
        str,
        typer.Option(help="The partner or group whose position puts outcomes in order."),
    ] = "system",
    effort: Annotated[
        float, typer.Option(help="Effort, as a share of a line's plan or of unit cost.")
    ] = 0.01,
    set_: SetOption = None,
    out: Annotated[Path | None, out_option("clauses.nc")] = None,
) -> None:
    """Print how often each clause binds, and what one more unit of effort pays whom and when."""
    import riskshare as rs
    from riskshare.cli.settings import print_settings
    from riskshare.report.clauses import print_clauses

    loaded, told = opened(case, set_, out)
    positions_of(loaded, [of], "--of")
    found = rs.clauses(loaded, samples=samples, seed=seed, of=of, effort=effort)
    console = standard_output()
    print_settings(console, told)
    print_clauses(console, loaded, found)
    if out is not None:
        write_dataset(out / "clauses.nc", found, told)
