"""Whether a case makes sense: every problem found at once, each with its path and a remedy."""

from riskshare.checks.case import check_case as check_case
