"""The reference problem as a riskshare case."""

from __future__ import annotations

from typing import Any

from .problem import Problem


def reference_case(problem: Problem) -> Any:
    """Build the case from the problem's numbers, contract rates included.

    Partners are `problem.provider_names` and `external`, lines `problem.line_names`. All numbers
    come from `problem`: the check before timing also asks for `problem.block_only()`.
    """
    raise NotImplementedError("benchmarks/reference/case.py: reference_case is not written yet")
