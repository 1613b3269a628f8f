"""Hypothesis strategies for cases and experiences, and a count of what is compiled.

For the tests of this package and of code that builds on it, such as a term of your own:
`strategy_for` lets a new kind of term into every case that `cases` draws.
"""

try:
    import hypothesis as _hypothesis  # noqa: F401  # an extra, asked for before it is missed
except ImportError as missing:
    raise ImportError(
        "riskshare.testing needs hypothesis: pip install riskshare[testing]"
    ) from missing

from riskshare.program.block import count_traces as count_traces
from riskshare.testing.setting import STRATEGIES as STRATEGIES
from riskshare.testing.setting import Setting as Setting
from riskshare.testing.setting import strategy_for as strategy_for
from riskshare.testing.strategies import FAMILY as FAMILY
from riskshare.testing.strategies import cases as cases
from riskshare.testing.strategies import experiences as experiences
