"""Marks that keep the default run of the tests within five minutes."""

import pytest

slow = pytest.mark.slow


def slow_except(fast, values):
    """Returns parameters for `pytest.mark.parametrize`, all marked slow except those in `fast`."""
    unknown = [value for value in fast if value not in values]
    assert not unknown, f"{unknown} are not among the parameters"
    return [value if value in fast else _param(value) for value in values]


def _param(value):
    return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=slow)
