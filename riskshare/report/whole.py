"""Tables whose numbers are never cut: a shortened number is a wrong number."""

from typing import IO

from rich.console import Console
from rich.table import Table


def screen(file: IO[str], width: int | None = None, force_terminal: bool | None = None) -> Console:
    """Return a console that prints text as it is: ``delivery[x]`` is a name, not markup.

    rich takes 80 columns for a dumb terminal unless the height is given too.
    """
    return Console(
        file=file,
        width=width,
        height=None if width is None else 100,
        force_terminal=force_terminal,
        markup=False,
        emoji=False,
        highlight=False,
    )


def natural_width(console: Console, shown: Table) -> int:
    """Return the width a table needs to show every cell whole."""
    return console.measure(shown, options=console.options.update(max_width=10_000)).maximum


def print_whole(console: Console, shown: Table) -> None:
    """Print a table at the width it needs, even where the screen is narrower."""
    width = max(natural_width(console, shown), console.width)
    wide = screen(file=console.file, width=width, force_terminal=console.is_terminal)
    wide.print(shown)
