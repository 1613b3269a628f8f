"""Compound laws: how many, and how much each.

`frequency` and `severity` are the two halves; `total` puts them on a grid and gives the law of the
sum, an `Aggregate`; `people` does so for members who differ, and simulates them one by one; `sums`
tabulates sums of so many amounts for the kernel; `concentration` says how unequal costs are.
"""

from riskshare.laws.compound.aggregate import Aggregate as Aggregate
from riskshare.laws.compound.aggregate import DiscretisationError as DiscretisationError
from riskshare.laws.compound.concentration import concentration as concentration
from riskshare.laws.compound.frequency import AbstractFrequency as AbstractFrequency
from riskshare.laws.compound.frequency import Binomial as Binomial
from riskshare.laws.compound.frequency import Counts as Counts
from riskshare.laws.compound.frequency import NegativeBinomial as NegativeBinomial
from riskshare.laws.compound.frequency import Poisson as Poisson
from riskshare.laws.compound.frequency import ZeroInflated as ZeroInflated
from riskshare.laws.compound.people import Members as Members
from riskshare.laws.compound.people import Simulated as Simulated
from riskshare.laws.compound.people import members as members
from riskshare.laws.compound.people import members_aggregate as members_aggregate
from riskshare.laws.compound.people import simulate_people as simulate_people
from riskshare.laws.compound.severity import Layer as Layer
from riskshare.laws.compound.severity import Severity as Severity
from riskshare.laws.compound.sums import SumTable as SumTable
from riskshare.laws.compound.sums import Truncated as Truncated
from riskshare.laws.compound.sums import standard_sum_quantile as standard_sum_quantile
from riskshare.laws.compound.sums import sum_table as sum_table
from riskshare.laws.compound.total import aggregate as aggregate
from riskshare.laws.compound.total import independent_sum as independent_sum
