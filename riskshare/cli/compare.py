"""``riskshare compare``: several contracts on the same samples, and the usual ones of one case."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskshare.cli.options import (
    DiscountOption,
    PricesOption,
    SeedOption,
    fitting_memory,
    folder,
    one_of,
    out_option,
    sampler_option,
    samples_option,
    standard_output,
)

if TYPE_CHECKING:
    from riskshare.case import Case

AGREED = "as agreed"
"""The case itself, beside its variants."""


def compare(
    cases: Annotated[
        list[str],
        typer.Argument(
            metavar="CASE...",
            help="Bundled cases (see `riskshare cases`) or files, with the same partners and "
            "years; one alone with --variants.",
        ),
    ],
    variants: Annotated[
        bool,
        typer.Option(
            "--variants",
            help="Compare a case with its block, activity, blended, capitated and pooled versions.",
        ),
    ] = False,
    marginal_rate: Annotated[
        float | None,
        typer.Option(
            help="Of the blended version: share of price paid on deviation.", show_default="0.5"
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="PARTNER",
            help="Of the capitated version: who takes the budget.",
            show_default="who delivers most",
        ),
    ] = None,
    pool_share: Annotated[
        float | None,
        typer.Option(
            help="Of the pooled version: part of the result that deliverers share.",
            show_default="0.5",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="What the others are held against.", show_default="the first"
        ),
    ] = None,
    samples: Annotated[int | None, samples_option("65536")] = None,
    seed: SeedOption = 1,
    sampler: Annotated[str, sampler_option()] = "sobol",
    year: Annotated[str, typer.Option(help="The year to show, or all.")] = "all",
    discount_rate: DiscountOption = None,
    prices: PricesOption = "nominal",
    out: Annotated[Path | None, out_option("comparison.csv")] = None,
) -> None:
    """Settle several contracts on the same samples and print who gains and who loses."""
    import riskshare as rs
    from riskshare.cli.progress import counting
    from riskshare.report.comparison import print_comparison, write_comparison

    if variants:
        contracts = _with_variants(cases, marginal_rate, host, pool_share)
    else:
        if (marginal_rate, host, pool_share) != (None, None, None):
            raise rs.ArgumentError(
                "--marginal-rate, --host and --pool-share shape the versions of one case; give "
                "--variants too"
            )
        contracts = _loaded(cases)
    one_of("--year", year, (*next(iter(contracts.values())).labels()["year"], "all"))
    folder(out)
    remedy = "take fewer --samples, or fewer contracts at a time"
    with fitting_memory(remedy), counting("simulating") as progress:
        table = rs.compare(
            contracts,
            against=_among(cases, contracts, against),
            samples=samples,
            seed=seed,
            sampler=sampler,
            discount_rate=discount_rate,
            prices=prices,
            progress=progress,
        )
    print_comparison(standard_output(100), table, year)
    if out is not None:
        typer.echo(f"wrote {write_comparison(out / 'comparison.csv', table)}")


def _with_variants(
    cases: list[str], marginal_rate: float | None, host: str | None, pool_share: float | None
) -> "dict[str, Case]":
    """Return a case and its versions."""
    import riskshare as rs

    if len(cases) != 1:
        raise rs.ArgumentError(f"--variants makes versions of one case; found {len(cases)}")
    case = rs.load_case(cases[0])
    versions = rs.variants(
        case,
        marginal_rate=0.5 if marginal_rate is None else marginal_rate,
        host=host,
        pool_share=0.5 if pool_share is None else pool_share,
    )
    return {AGREED: case, **versions}


def _loaded(cases: list[str]) -> "dict[str, Case]":
    """Return cases by their names, or as they were asked for where two have one name."""
    import riskshare as rs

    if len(cases) < 2:
        raise rs.ArgumentError(
            f"found one case, {cases[0]}; accepted: at least two, or one with --variants"
        )
    loaded = [rs.load_case(case) for case in cases]
    names = [case.name for case in loaded]
    if len(set(names)) < len(names):
        names = cases
    if len(set(names)) < len(names):
        raise rs.ArgumentError(f"found {', '.join(cases)}; accepted: each case once")
    return dict(zip(names, loaded, strict=True))


def _among(cases: list[str], contracts: "dict[str, Case]", against: str | None) -> str | None:
    """Return the name of the reference, which may be given as the case was."""
    if against in cases and against not in contracts:
        return list(contracts)[0 if len(cases) == 1 else cases.index(against)]
    return against
