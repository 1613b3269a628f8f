"""Laws from data: monthly counts of activity, the annual level error, the numbers for a case."""

from riskshare.fitting.activity import ActivityFit as ActivityFit
from riskshare.fitting.activity import ResidualMoments as ResidualMoments
from riskshare.fitting.activity import fit_activity as fit_activity
from riskshare.fitting.activity import residual_moments as residual_moments
from riskshare.fitting.annual import AnnualLevel as AnnualLevel
from riskshare.fitting.annual import OrganisationLevel as OrganisationLevel
from riskshare.fitting.annual import credible_level as credible_level
from riskshare.fitting.annual import fit_annual_level as fit_annual_level
from riskshare.fitting.conversion import annual_overdispersion as annual_overdispersion
from riskshare.fitting.conversion import driver_sd as driver_sd
from riskshare.fitting.monthly import MonthlyCounts as MonthlyCounts
from riskshare.fitting.monthly import read_ae_attendances as read_ae_attendances
from riskshare.fitting.monthly import read_monthly_total as read_monthly_total
