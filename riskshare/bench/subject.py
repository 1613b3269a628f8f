"""What is measured: the reference problem or a case of the user's, on a device."""

from riskshare.case import Case

REFERENCE = "reference"
"""The name of the reference problem."""


def case_named(name: str) -> Case:
    """Return the reference problem, a bundled case, or one from a file."""
    if name == REFERENCE:
        from riskshare.bench.problem import reference
        from riskshare.bench.reference import reference_case

        return reference_case(reference())
    from riskshare.files.load import load_case

    return load_case(name)
