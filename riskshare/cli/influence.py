"""``riskshare influence``: who bears what of each driver, against who controls it."""

from pathlib import Path
from typing import Annotated

import typer

from riskshare.cli.options import (
    CaseArgument,
    LevelOption,
    PermutationsOption,
    SamplesOption,
    SeedOption,
    SetOption,
    opened,
    out_option,
    standard_output,
)


def influence(
    case: CaseArgument,
    samples: SamplesOption = 16_384,
    seed: SeedOption = 1,
    level: LevelOption = 0.95,
    permutations: PermutationsOption = None,
    set_: SetOption = None,
    out: Annotated[Path | None, out_option("the table")] = None,
) -> None:
    """Print how far risk sits with those who can influence it, driver by driver."""
    import riskshare as rs
    from riskshare.cli.settings import print_settings
    from riskshare.report.attribution import write_statistics
    from riskshare.report.influence import print_influence

    loaded, told = opened(case, set_, out)
    found = rs.influence(
        loaded, samples=samples, seed=seed, levels=(level,), permutations=permutations
    )
    console = standard_output(100)
    print_settings(console, told)
    print_influence(console, loaded, found)
    if out is not None:
        typer.echo(f"wrote {write_statistics(out / 'influence.csv', found)}")
