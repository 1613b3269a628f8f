"""A bar on standard error: what is being done, samples a second, and the time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class Rate(ProgressColumn):
    """Samples a second: as told, or else as the samples come; blank until it is known.

    The first samples come when all is compiled, and the rate is counted from there on.
    """

    def render(self, task: Task) -> Text:
        """Return the rate as text."""
        rate = task.fields.get("rate", task.finished_speed or task.speed)
        if not rate:
            return Text("")
        shown = f"{rate / 1e6:,.2f} million" if rate >= 1e6 else f"{rate:,.0f}"
        return Text(f"{shown} samples/s")


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show samples as they are made; yields what takes the samples done and those there will be."""
    samples = TextColumn("{task.completed:,.0f} samples")
    with _bar(TextColumn("{task.description}"), BarColumn(), samples) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def telling() -> Iterator[Callable[[str, float, float | None], None]]:
    """Show steps of a longer work; yields what takes the step, the share done and the rate."""
    with _bar(BarColumn(), TextColumn("{task.description}")) as bar:
        task = bar.add_task("", total=1.0, rate=None)
        yield lambda what, share, rate: bar.update(
            task, description=what, completed=share, rate=rate
        )


def _bar(*columns: ProgressColumn) -> Progress:
    """Return a bar that is gone when done; nothing where standard error is no terminal."""
    screen = Console(stderr=True)
    return Progress(
        *columns,
        Rate(),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )
