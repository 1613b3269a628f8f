"""``riskshare bench``: what this machine does, on the reference problem and a case of one's own."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from riskshare.cli.options import device_option, standard_output, writable


def bench(
    case: Annotated[
        str | None,
        typer.Argument(
            metavar="CASE",
            help="A bundled case or a file, measured beside the reference problem.",
            show_default=False,
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            help="Samples of a timed call.", show_default="what a second makes, 1048576 at most"
        ),
    ] = None,
    device: Annotated[str | None, device_option("each device there is")] = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json", metavar="FILE", help="Also write all that is shown, and more, as JSON."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A first look: a quarter of the time, rougher figures.")
    ] = False,
) -> None:
    """Measure samples a second, time to a given error, memory, and what limits them."""
    if json_file is not None:
        writable("--json", json_file)
    from riskshare.bench.effort import full
    from riskshare.bench.effort import quick as first_look
    from riskshare.bench.measure import measure
    from riskshare.bench.subject import REFERENCE
    from riskshare.cli.progress import telling
    from riskshare.report.bench import print_bench

    names = [REFERENCE] if case in (None, REFERENCE) else [REFERENCE, case]
    with telling() as told:
        record = measure(
            [str(name) for name in names],
            device=device,
            effort=first_look(samples) if quick else full(samples),
            command=shlex.join(["riskshare", *sys.argv[1:]]),
            told=told,
        )
    print_bench(standard_output(), record)
    if json_file is not None:
        from riskshare.bench.record import write_record

        write_record(json_file, record)
        typer.echo(f"wrote {json_file}")
