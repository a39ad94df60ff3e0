from types import SimpleNamespace

import pytest

from configs import base


@pytest.fixture
def section():
    """`section(name=..., ...)`: the config's `likelihood` section with changes."""
    return lambda **changes: SimpleNamespace(**{**base.likelihood(), **changes})
