"""``riskshare bench``: what this machine does, on the reference problem and a case of one's own."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


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
    device: Annotated[
        str | None,
        typer.Option(
            help="cpu, gpu, or one of them such as gpu:0.", show_default="each device there is"
        ),
    ] = None,
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
        _writable(json_file)
    from riskshare.bench.effort import full
    from riskshare.bench.effort import quick as first_look
    from riskshare.bench.measure import measure
    from riskshare.bench.subject import REFERENCE
    from riskshare.cli.progress import telling
    from riskshare.report.bench import print_bench
    from riskshare.report.whole import screen

    names = [REFERENCE] if case in (None, REFERENCE) else [REFERENCE, case]
    with telling() as told:
        record = measure(
            [str(name) for name in names],
            device=device,
            effort=first_look(samples) if quick else full(samples),
            command=shlex.join(["riskshare", *sys.argv[1:]]),
            told=told,
        )
    print_bench(screen(sys.stdout, None if sys.stdout.isatty() else 132), record)
    if json_file is not None:
        from riskshare.bench.record import write_record

        write_record(json_file, record)
        typer.echo(f"wrote {json_file}")


def _writable(path: Path) -> None:
    """Refuse a file that cannot be written before any work is done for it."""
    from riskshare.errors import ArgumentError

    folder = path.resolve().parent
    if path.is_dir() or not folder.is_dir():
        raise ArgumentError(
            f"--json is {path}, which is {'a folder' if path.is_dir() else 'in no folder there is'}"
            "; accepted: a file in a folder that is there"
        )
