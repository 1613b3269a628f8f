"""How each kind of term is drawn, with every option it has; one module for each family."""

from riskshare.testing.terms import (  # noqa: F401  # kinds join
    marginal,
    organisation,
    payment,
    protection,
    sharing,
)
