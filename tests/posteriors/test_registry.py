import ml_collections
import pytest

from ctc_jax import posteriors
from ctc_jax.errors import ConfigError
from ctc_jax.options import OptionError


def section(**changes):
    config = ml_collections.ConfigDict(posteriors.SECTION.defaults())
    config.update_from_flattened_dict(changes)
    return config


def test_options_of_the_chosen_family_reach_its_module():
    changes = {"name": "iaf", "iaf.steps": 3, "iaf.width": 7, "iaf.layers": 2, "iaf.context": 5}
    flow = posteriors.build(section(**changes))(4)
    assert (flow.latents, len(flow.moves), flow.context) == (4, 3, 5)
    assert {(move.width, move.layers) for move in flow.moves} == {(7, 2)}
    assert [move.order[0] for move in flow.moves] == [1, 4, 1]


def test_the_default_is_the_diagonal_gaussian():
    assert type(posteriors.build(section())(2)).__name__ == "DiagonalGaussian"


def test_unknown_name_is_one_line_that_names_the_key():
    with pytest.raises(ConfigError, match=r"^config\.posterior\.name is 'diagnal'.* \(did you mean diagonal\?\)$"):
        posteriors.build(section(name="diagnal"))


@pytest.mark.parametrize("name", ["steps", "width", "layers", "context"])
def test_a_flow_of_none_is_refused_by_its_key_and_by_its_argument(name):
    with pytest.raises(ConfigError, match=rf"^config\.posterior\.iaf\.{name} is 0; allowed: a whole number, 1 or more"):
        posteriors.build(section(**{"name": "iaf", f"iaf.{name}": 0}))
    with pytest.raises(OptionError, match=rf"^{name} is 0; allowed: a whole number, 1 or more"):
        posteriors.REGISTRY["iaf"](**{name: 0})
