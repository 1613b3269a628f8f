"""Laws: how indices and chance are distributed, each a monotone map of a standard normal score.

`indices` maps a driver's score, `chance` a line's own; `dependence` correlates scores across
drivers and years; `moments` gives the exact means that best estimates are built from. All of it
is NumPy in float64 on the host: the kernel in `riskshare.program` reads only its numbers.
Whatever cannot be used raises `ValueError`; the caller knows the path to put before it.
"""

from riskshare.laws.marginal import AbstractLaw as AbstractLaw
from riskshare.laws.marginal import Component as Component
from riskshare.laws.marginal import Discrete as Discrete
from riskshare.laws.marginal import Empirical as Empirical
from riskshare.laws.marginal import Gamma as Gamma
from riskshare.laws.marginal import GeneralisedGamma as GeneralisedGamma
from riskshare.laws.marginal import GeneralisedPareto as GeneralisedPareto
from riskshare.laws.marginal import Interval as Interval
from riskshare.laws.marginal import Lognormal as Lognormal
from riskshare.laws.marginal import Metalog as Metalog
from riskshare.laws.marginal import Mixture as Mixture
from riskshare.laws.marginal import Normal as Normal
from riskshare.laws.marginal import Pareto as Pareto
from riskshare.laws.marginal import Pert as Pert
from riskshare.laws.marginal import Shock as Shock
from riskshare.laws.marginal import Spliced as Spliced
from riskshare.laws.marginal import Triangular as Triangular
from riskshare.laws.marginal import Weibull as Weibull
