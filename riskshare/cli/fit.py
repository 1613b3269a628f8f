"""``riskshare fit``: laws from a CSV table, printed side by side, the best as case-file lines."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from riskshare.cli.options import standard_output, writable

if TYPE_CHECKING:
    from rich.table import Table

    from riskshare.fitting import ActivityFit, Comparison
    from riskshare.fitting.table import DataTable

USES = ("activity", "annual", "counts", "severity")


@dataclass(frozen=True)
class Options:
    """What was asked for besides the file."""

    column: str | None
    period: str | None
    exposure: str | None
    weight: str | None
    by: str | None
    kinds: tuple[str, ...]
    truncated_below: float | None
    censored_above: float | None
    threshold: float | None
    replicates: int
    name: str


@dataclass(frozen=True)
class Report:
    """What one group of rows gave."""

    name: str
    table: "Table"
    notes: tuple[str, ...]
    lines: str
    numbers: dict[str, Any]


def fit(
    data: Annotated[
        Path, typer.Argument(metavar="DATA.csv", help="A table with a header row; .csv or .csv.gz.")
    ],
    use: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="WHAT",
            help="activity (month and count), annual (the same, by organisation: the annual level "
            "error), counts (count and exposure) or severity (amounts); told from the columns "
            "where they are known.",
        ),
    ] = None,
    column: Annotated[str | None, typer.Option(help="Column with the counts or amounts.")] = None,
    period: Annotated[str | None, typer.Option(help="Column with the month, YYYY-MM.")] = None,
    exposure: Annotated[
        str | None, typer.Option(help="Column that counts are proportional to.")
    ] = None,
    weight: Annotated[
        str | None, typer.Option(help="Column with how many claims a row stands for.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Fit the rows of each value of this column.")] = (
        None
    ),
    kinds: Annotated[str | None, typer.Option(help="Laws to compare, separated by commas.")] = None,
    truncated_below: Annotated[
        float | None, typer.Option(help="Amount below which claims are not known.")
    ] = None,
    censored_above: Annotated[
        float | None, typer.Option(help="Limit at which amounts are cut.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Also fit a generalised Pareto tail above this amount.")
    ] = None,
    p_values: Annotated[
        int, typer.Option(help="Bootstrap replicates for p-values of the best law; 0 for none.")
    ] = 0,
    currency: Annotated[
        str | None, typer.Option(help="Currency whose mark amounts carry, as GBP.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the line; by default the column or group.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File to write the case lines to.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Fit laws to data and print the best as lines of a case file."""
    from riskshare.errors import ArgumentError
    from riskshare.fitting.table import read_table

    if output is not None:
        writable("--output", output)
    table = read_table(data, currency)
    chosen_use = _use(table, use, column)
    options = Options(
        column=column,
        period=period,
        exposure=exposure,
        weight=weight,
        by=by,
        kinds=tuple(part.strip() for part in kinds.split(",")) if kinds else (),
        truncated_below=truncated_below,
        censored_above=censored_above,
        threshold=threshold,
        replicates=p_values,
        name=name or "",
    )
    _refuse_options(chosen_use, options)
    worker = {"activity": _activity, "counts": _counts, "severity": _severity, "annual": _annual}[
        chosen_use
    ]
    reports, failures = [], []
    for label, rows in _groups(table, chosen_use, by):
        try:
            reports.append(worker(rows, label, options))
        except ArgumentError as error:
            if not label:
                raise
            failures.append(f"{label}: {error}")
    if not reports:
        raise ArgumentError("\n".join(failures[:5]))
    _show(reports, failures, as_json)
    if output is not None:
        _write(output, reports)


def _use(table: "DataTable", given: str | None, column: str | None) -> str:
    """Return what the table holds: as told, or as its columns say."""
    from riskshare.checks.given import suggest
    from riskshare.errors import ArgumentError
    from riskshare.fitting import table as known

    if given is not None:
        if given not in USES:
            raise ArgumentError(f"--as {given}: {suggest(given, USES)}")
        return given
    plain = (table.check(column) if column else "").strip().lower().replace(" ", "_")
    amounts = plain in known.AMOUNTS if column else table.known(known.AMOUNTS) is not None
    counts = plain in known.COUNTS if column else table.known(known.COUNTS) is not None
    counts_of_months = counts or column or len(table.header) == 2
    if table.known(known.PERIODS) and counts_of_months and not amounts:
        return "activity"
    if amounts != counts:
        return "severity" if amounts else "counts"
    raise ArgumentError(
        f"{table.path}: the columns {', '.join(table.header)} do not say what to fit; add "
        "--as severity, counts, activity or annual, and --column"
    )


def _refuse_options(use: str, options: Options) -> None:
    """Refuse an option that would be passed over in silence."""
    from riskshare.errors import ArgumentError

    serves = {
        "period": ("activity", "annual"),
        "exposure": ("counts",),
        "weight": ("severity",),
        "truncated_below": ("severity",),
        "censored_above": ("severity",),
        "threshold": ("severity",),
        "kinds": ("severity", "counts"),
        "replicates": ("severity", "counts"),
    }
    for option, uses in serves.items():
        if getattr(options, option) and use not in uses:
            shown = "p-values" if option == "replicates" else option.replace("_", "-")
            raise ArgumentError(f"--{shown} is for --as {' or '.join(uses)}, not for {use}")


def _groups(table: "DataTable", use: str, by: str | None) -> Iterator[tuple[str, "DataTable"]]:
    if by is None or use == "annual":
        yield "", table
    else:
        yield from table.groups(by).items()


def _named(label: str, options: Options, column: str) -> str:
    """Return the name of a line: as told, with the group where there are several."""
    first = options.name or ("" if label else column)
    return "-".join(part for part in (first, label) if part).replace(" ", "-")


def _severity(table: "DataTable", label: str, options: Options) -> Report:
    from riskshare.fitting import fit_severity
    from riskshare.fitting.severity import KINDS
    from riskshare.fitting.table import AMOUNTS, WEIGHTS, chosen

    column = chosen(table, options.column, AMOUNTS, "amounts")
    weight = table.check(options.weight) if options.weight else table.known(WEIGHTS)
    amounts = table.numbers(column, "money")
    found = fit_severity(
        amounts,
        options.kinds or KINDS,
        weights=None if weight is None else table.numbers(weight, "count"),
        truncated_below=options.truncated_below,
        censored_above=options.censored_above,
        threshold=options.threshold,
    )
    notes = [f"{found.size:,.0f} amounts above zero"]
    if weight is not None:
        notes[0] += f" (weights: {weight})"
    zeros = found.zeros
    if zeros is not None and zeros.value > 0:
        notes.append(f"share of zeros {zeros.value:.2%} ± {zeros.standard_error:.2%}, in no law")
    return _compared(found, _named(label, options, column), notes, options)


def _counts(table: "DataTable", label: str, options: Options) -> Report:
    from riskshare.fitting import fit_counts
    from riskshare.fitting.counts import COUNT_KINDS
    from riskshare.fitting.table import COUNTS, EXPOSURES, chosen

    column = chosen(table, options.column, COUNTS, "counts")
    exposure = table.check(options.exposure) if options.exposure else table.known(EXPOSURES)
    found = fit_counts(
        table.numbers(column, "count"),
        options.kinds or COUNT_KINDS,
        exposure=None if exposure is None else table.numbers(exposure, "count"),
    )
    notes = [f"{found.size:,.0f} counts"]
    if exposure is not None:
        notes[0] += f" (rate per unit of {exposure})"
    return _compared(found, _named(label, options, column), notes, options)


def _compared(found: "Comparison[Any]", name: str, notes: list[str], options: Options) -> Report:
    from riskshare.errors import ArgumentError
    from riskshare.fitting.maximum import MEANINGS

    shown = _sheet(f"law of {name}", "parameters ± standard errors", "AIC", "KS", "AD")
    for one in found.fits:
        parameters = ", ".join(
            f"{p.name} {_figure(p.value)}"
            + (f" ± {_figure(p.standard_error)}" if p.standard_error == p.standard_error else "")
            for p in one.parameters
        )
        mark = "" if one.status == "converged" else f" ({one.status})"
        figures = (f"{one.criteria.aic:,.1f}", f"{one.ks:.4f}", f"{one.ad:.3f}")
        shown.add_row(one.kind + mark, parameters, *figures)
        if mark:
            notes.append(f"{one.kind}: {MEANINGS[one.status]}")
    best = found.best
    numbers: dict[str, Any] = {"name": name, "best": best.kind, "laws": found.rows()}
    if found.zeros is not None:
        numbers["zeros"] = asdict(found.zeros)
    if options.replicates:
        ks, ad = best.p_values(options.replicates)
        notes.append(f"{best.kind}: bootstrap p-values {ks:.3f} (KS), {ad:.3f} (AD)")
        numbers["p_values"] = {"ks": ks, "ad": ad}
    try:
        lines = best.case_lines(name)
    except ArgumentError as error:
        lines = ""
        notes.append(f"no case lines: {error}")
    return Report(name, shown, tuple(notes), lines, {**numbers, "case_lines": lines})


def _activity(table: "DataTable", label: str, options: Options) -> Report:
    from riskshare.fitting import activity_lines, fit_activity
    from riskshare.fitting.table import COUNTS, GROUPS, PERIODS, chosen

    period = chosen(table, options.period, PERIODS, "months")
    column = chosen(table, options.column, COUNTS, "counts")
    counts, months, added = table.monthly(period, column)
    found = fit_activity(counts, months)
    name = _named(label, options, column)
    notes = []
    if added:
        group = None if label else table.known(GROUPS)
        notes.append(
            f"{added:,} rows were added to another of the same month"
            + (f"; --by {group} fits each" if group else "")
        )
    lines = activity_lines(found, name)
    shown = _sheet(f"activity of {name}", "value ± standard error")
    rows = dict(_activity_rows(found))
    for word, (value, error, write) in rows.items():
        shown.add_row(word, f"{write(value)} ± {write(error)}" if error else write(value))
    numbers = {word: {"value": v, "standard_error": e or None} for word, (v, e, _) in rows.items()}
    return Report(name, shown, tuple(notes), lines, {"name": name, **numbers, "case_lines": lines})


def _activity_rows(
    found: "ActivityFit",
) -> Iterator[tuple[str, tuple[float, float, Callable[[float], str]]]]:
    left = found.residuals
    yield "months", (float(found.months.size), 0.0, _figure)
    yield "mean a month", (found.mean, 0.0, _figure)
    trend = found.trend, found.trend_standard_error_autocorrelated
    yield "trend a year", (*trend, "{:.2%}".format)
    yield (
        "over-dispersion c of a month",
        (found.overdispersion, found.overdispersion_standard_error, _figure),
    )
    yield (
        "residual SD, of the mean",
        (left.residual_sd, left.residual_sd_standard_error, "{:.2%}".format),
    )
    yield (
        "variance to mean",
        (left.variance_to_mean, left.variance_to_mean_standard_error, _figure),
    )
    yield (
        "memory from month to month",
        (left.autocorrelation, left.autocorrelation_standard_error, "{:.2f}".format),
    )


def _annual(table: "DataTable", label: str, options: Options) -> Report:
    import numpy as np

    from riskshare.fitting import (
        annual_lines,
        annual_overdispersion,
        fit_activity,
        fit_annual_level,
    )
    from riskshare.fitting.table import COUNTS, GROUPS, PERIODS, chosen

    by = chosen(table, options.by, GROUPS, "organisations")
    period = chosen(table, options.period, PERIODS, "months")
    column = chosen(table, options.column, COUNTS, "counts")
    every = table.panel(by, period, column)
    panel = every.complete()
    level = fit_annual_level(panel)
    own = []
    for counts in panel.counts:
        one = fit_activity(counts, panel.months)
        memory = max(one.residuals.autocorrelation, 0.0)
        own.append(annual_overdispersion(one.fitted[-12:], one.overdispersion, memory))
    noise = float(np.median(own))
    name = options.name or "annual-level"
    lines = annual_lines(level, noise, name)
    shown = _sheet("annual level error", "value ± standard error")
    pooled = f"{level.pooled_sd:.2%} ± {level.pooled_sd_standard_error:.2%}"
    shown.add_row("organisations complete", f"{level.organisations} of {len(every.organisations)}")
    for pair, growth in enumerate(level.common_growth):
        robust, classical = level.robust_sd[pair], level.classical_sd[pair]
        error = level.common_growth_standard_error[pair]
        spread = f"spread {robust:.2%} robust, {classical:.2%} classical"
        shown.add_row(f"common growth {pair + 1}", f"{growth:+.2%} ± {error:.2%}; {spread}")
    shown.add_row("spread of growth, pooled, robust", pooled)
    shown.add_row("growth if months were independent", f"{level.independent_growth:.2%}")
    shown.add_row("over-dispersion of a line's own year, median", _figure(noise))
    numbers = {
        "organisations": level.organisations,
        "pooled_sd": level.pooled_sd,
        "pooled_sd_standard_error": level.pooled_sd_standard_error,
        "line_overdispersion": noise,
        "common_growth": list(map(float, level.common_growth)),
        "robust_sd": list(map(float, level.robust_sd)),
        "case_lines": lines,
    }
    return Report(name, shown, (), lines, numbers)


def _sheet(*heads: str) -> "Table":
    from rich import box
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, head in enumerate(heads):
        shown.add_column(head, justify="left" if place < 2 else "right", no_wrap=True)
    return shown


def _figure(value: float) -> str:
    """Return four significant digits, whole numbers with separators where there are more."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _show(reports: list[Report], failures: list[str], as_json: bool) -> None:
    if as_json:
        import json

        told = {"fits": [report.numbers for report in reports], "not_fitted": failures}
        typer.echo(json.dumps(_finite(told), indent=2))
        return
    from riskshare.report.whole import print_whole

    console = standard_output()
    for report in reports:
        print_whole(console, report.table)
        for note in report.notes:
            console.print(f"  {note}", soft_wrap=True)
        console.print()
        if report.lines:
            console.print(report.lines, soft_wrap=True)
    for failure in failures:
        console.print(f"not fitted: {failure}", soft_wrap=True)


def _finite(value: Any) -> Any:
    """Return numbers that JSON has: null in place of what is not known or infinite."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and abs(value) == abs(value) and abs(value) < float("inf"):
        return value
    return None if isinstance(value, float) else value


def _write(output: Path, reports: list[Report]) -> None:
    from riskshare.files.atomic import replacing

    with replacing(output) as temporary:
        temporary.write_text("\n".join(report.lines for report in reports), encoding="utf-8")
    typer.echo(f"wrote {output}", err=True)
