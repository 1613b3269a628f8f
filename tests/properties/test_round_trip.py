import pathlib
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.testing import FAMILY, cases


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=4)
@given(data=st.data())
def test_a_case_saved_and_loaded_is_the_same(structure, data):
    case = data.draw(cases((structure,)))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "case.toml"
        rs.save_case(case, path)
        again = rs.load_case(path)
        assert again == case
        assert again.numbers() == case.numbers()
