"""``riskshare estimate``: the distribution of results to a stated number of samples or error."""

from pathlib import Path
from typing import Annotated

import typer

from riskshare.cli.options import (
    CaseArgument,
    DiscountOption,
    PricesOption,
    SeedOption,
    SetOption,
    device_option,
    money_of_years,
    opened,
    out_option,
    positions_of,
    sampler_option,
    samples_option,
    standard_output,
)


def estimate(
    case: CaseArgument,
    samples: Annotated[
        int | None,
        samples_option(
            "65536; 134217728 with --error",
            "How many samples; with --error the most that may be taken.",
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
    seed: SeedOption = 1,
    sampler: Annotated[str, sampler_option()] = "sobol",
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
    device: Annotated[str | None, device_option("what there is")] = None,
    discount_rate: DiscountOption = None,
    prices: PricesOption = "nominal",
    set_: SetOption = None,
    out: Annotated[Path | None, out_option("the summary")] = None,
) -> None:
    """Print how results are distributed, from any number of samples or to a given error."""
    import riskshare as rs
    from riskshare.cli.progress import counting
    from riskshare.cli.settings import print_settings
    from riskshare.files.results import write_summary
    from riskshare.report.distribution import print_distribution

    wanted = _errors(error)
    if leading is not None and tail is not None:
        raise rs.ArgumentError("--leading and --tail both turn the samples; give one of them")
    loaded, told = opened(case, set_, out)
    money_of_years(loaded, discount_rate, prices)
    positions_of(loaded, [tail] if tail else [], "--tail")
    directions = None
    if leading is not None:
        directions = rs.leading_directions(rs.load_case(leading))
    elif tail is not None:
        directions = rs.tail_directions(loaded, tail, level=tail_level)
    with counting("estimating") as progress:
        table = rs.estimate(
            loaded,
            samples=samples,
            error=wanted,
            seed=seed,
            sampler=sampler,
            directions=directions,
            device=device,
            discount_rate=discount_rate,
            prices=prices,
            progress=progress,
        )
    console = standard_output()
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
