import json

import pytest

from configs import base
from ctc_jax.errors import UserError
from ctc_jax.sweeps.saved_config import get_config


def test_a_config_comes_back_with_every_value_and_type(tmp_path):
    path = tmp_path / "a:b.json"
    path.write_text(json.dumps(base.get_config().to_dict()))
    found, expected = get_config(str(path)), base.get_config()
    assert found.to_dict() == expected.to_dict()
    assert found.train.learning_rate.__class__ is float


@pytest.mark.parametrize("text", [None, "{", "[1]", "3"])
def test_what_is_no_config_is_named(tmp_path, text):
    path = tmp_path / "config.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=r"the config '.*config\.json'"):
        get_config(str(path))
