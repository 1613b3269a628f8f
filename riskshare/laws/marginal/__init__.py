"""Marginal laws: distributions as monotone maps of a standard normal score, declared by kind.

`base` says what a law is; `smooth` holds the laws of one formula, `beliefs` and `metalog` those
that people state, `points` those made of a sample or of atoms, `composite` those made of other
laws; `special` and `numerics` hold the functions that they need. In a case file a law is a table
with its kind,
``law = { kind = "weibull", shape = 0.8 }``, wherever a law is accepted.
"""

from riskshare.laws.marginal.base import LAWS as LAWS
from riskshare.laws.marginal.base import AbstractLaw as AbstractLaw
from riskshare.laws.marginal.beliefs import Interval as Interval
from riskshare.laws.marginal.beliefs import Pert as Pert
from riskshare.laws.marginal.beliefs import Triangular as Triangular
from riskshare.laws.marginal.composite import Component as Component
from riskshare.laws.marginal.composite import Mixture as Mixture
from riskshare.laws.marginal.composite import Shock as Shock
from riskshare.laws.marginal.composite import Spliced as Spliced
from riskshare.laws.marginal.metalog import Metalog as Metalog
from riskshare.laws.marginal.points import Discrete as Discrete
from riskshare.laws.marginal.points import Empirical as Empirical
from riskshare.laws.marginal.smooth import Gamma as Gamma
from riskshare.laws.marginal.smooth import GeneralisedGamma as GeneralisedGamma
from riskshare.laws.marginal.smooth import GeneralisedPareto as GeneralisedPareto
from riskshare.laws.marginal.smooth import Lognormal as Lognormal
from riskshare.laws.marginal.smooth import Normal as Normal
from riskshare.laws.marginal.smooth import Pareto as Pareto
from riskshare.laws.marginal.smooth import Weibull as Weibull
