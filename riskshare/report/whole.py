"""Tables whose numbers are never cut: a shortened number is a wrong number."""

from rich.console import Console
from rich.table import Table


def natural_width(console: Console, shown: Table) -> int:
    """Return the width a table needs to show every cell whole."""
    return console.measure(shown, options=console.options.update(max_width=10_000)).maximum


def print_whole(console: Console, shown: Table) -> None:
    """Print a table at the width it needs, even where the screen is narrower."""
    width = max(natural_width(console, shown), console.width)
    # rich takes 80 columns for a dumb terminal unless the height is given too
    wide = Console(file=console.file, width=width, height=100, force_terminal=console.is_terminal)
    wide.print(shown)
