"""``riskshare estimate``: the distribution of results to a stated number of samples or error."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from riskshare.cli.settings import SetOption


def estimate(
    case: Annotated[
        str,
        typer.Argument(metavar="CASE", help="A bundled case (see `riskshare cases`) or a file."),
    ],
    samples: Annotated[
        int | None,
        typer.Option(
            help="How many samples; with --error the most that may be taken.",
            show_default="65536; 134217728 with --error",
        ),
    ] = None,
    error: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATISTIC=ERROR",
            help="A standard error to reach, as position_mean\\[acute]=10000 or "
            "position_quantile\\[all,0.05]=50000; may be given more than once.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random streams.")] = 1,
    sampler: Annotated[str, typer.Option(help="sobol or pseudo-random.")] = "sobol",
    leading: Annotated[
        str | None,
        typer.Option(metavar="CASE", help="Turn samples to the leading directions of a contract."),
    ] = None,
    tail: Annotated[
        str | None,
        typer.Option(metavar="PARTNER", help="Draw more samples from the bad tail of a partner."),
    ] = None,
    tail_level: Annotated[
        float, typer.Option(help="Level of that tail: 0.005 for the worst outcome in 200.")
    ] = 0.005,
    device: Annotated[
        str | None,
        typer.Option(help="cpu, gpu, or one of them as gpu:0.", show_default="what there is"),
    ] = None,
    discount_rate: Annotated[
        float | None, typer.Option(help="Rate a year at which all years are added up, as 0.035.")
    ] = None,
    prices: Annotated[
        str, typer.Option(help="nominal, or real: in prices of the case's price base.")
    ] = "nominal",
    set_: SetOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder to write the summary to.")
    ] = None,
) -> None:
    """Print how results are distributed, from any number of samples or to a given error."""
    import riskshare as rs
    from riskshare.cli.progress import counting
    from riskshare.cli.settings import print_settings, with_settings
    from riskshare.files.results import make_folder, write_summary
    from riskshare.report.distribution import print_distribution
    from riskshare.report.whole import screen

    loaded, told = with_settings(rs.load_case(case), set_)
    if out is not None:
        make_folder(out)
    if leading is not None and tail is not None:
        raise rs.ArgumentError("--leading and --tail both turn the samples; give one of them")
    directions = None
    if leading is not None:
        directions = rs.leading_directions(rs.load_case(leading))
    elif tail is not None:
        directions = rs.tail_directions(loaded, tail, level=tail_level)
    with counting("estimating") as progress:
        table = rs.estimate(
            loaded,
            samples=samples,
            error=_errors(error),
            seed=seed,
            sampler=sampler,
            directions=directions,
            device=device,
            discount_rate=discount_rate,
            prices=prices,
            progress=progress,
        )
    console = screen(sys.stdout, None if sys.stdout.isatty() else 132)
    print_settings(console, told)
    print_distribution(console, loaded, table)
    if out is not None:
        typer.echo(f"wrote {write_summary(out, table)}")


def _errors(stated: list[str] | None) -> dict[str, float] | None:
    """Return the standard errors that options state, by statistic."""
    from riskshare.errors import ArgumentError

    if not stated:
        return None
    found = {}
    for one in stated:
        name, _, value = one.rpartition("=")
        try:
            found[name.strip()] = float(value.replace("_", ""))
        except ValueError:
            name = ""
        if not name:
            raise ArgumentError(
                f"--error {one}: accepted: a statistic and its standard error, as "
                "position_mean[acute]=10000"
            ) from None
    return found
