"""Compound laws: how many claims or people, and how much each."""
from riskshare.laws.compound.aggregate import Aggregate as Aggregate
from riskshare.laws.compound.frequency import Poisson as Poisson
from riskshare.laws.compound.frequency import NegativeBinomial as NegativeBinomial
from riskshare.laws.compound.frequency import Binomial as Binomial
from riskshare.laws.compound.frequency import Counts as Counts
from riskshare.laws.compound.frequency import ZeroInflated as ZeroInflated
from riskshare.laws.compound.total import aggregate as aggregate
from riskshare.laws.compound.total import independent_sum as independent_sum
from riskshare.laws.compound.people import Members as Members
from riskshare.laws.compound.people import members_aggregate as members_aggregate
from riskshare.laws.compound.people import members as members
from riskshare.laws.compound.people import simulate_people as simulate_people
from riskshare.laws.compound.sums import SumTable as SumTable
from riskshare.laws.compound.sums import standard_sum_quantile as standard_sum_quantile
from riskshare.laws.compound.sums import sum_table as sum_table
