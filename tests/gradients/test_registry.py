import ml_collections
import pytest

from ctc_jax import gradients
from ctc_jax.errors import ConfigError


def named(name):
    return ml_collections.ConfigDict({"name": name})


def test_every_entry_states_its_own_name():
    assert all(entry.name == name for name, entry in gradients.REGISTRY.items())


def test_pathwise_serves_a_model_without_masks():
    assert gradients.build(named("pathwise"), mask_kinds=frozenset()) is gradients.REGISTRY["pathwise"]


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
def test_pathwise_is_refused_where_there_are_masks(kind):
    with pytest.raises(ConfigError, match=rf"^config\.estimator\.name is 'pathwise'; allowed: one that serves {kind} "):
        gradients.build(named("pathwise"), mask_kinds=frozenset({kind}))


def test_an_estimator_that_serves_the_masks_is_named_and_taken(monkeypatch):
    binary = gradients.Estimator("binary", True, frozenset({"bernoulli"}), 2, lambda key, logits, reward: (0.0, 0.0))
    monkeypatch.setitem(gradients.REGISTRY, "binary", binary)
    assert gradients.build(named("binary"), mask_kinds=frozenset({"bernoulli"})) is binary
    with pytest.raises(ConfigError, match=r"one that serves bernoulli masks: binary$"):
        gradients.build(named("pathwise"), mask_kinds=frozenset({"bernoulli"}))
    with pytest.raises(ConfigError, match=r"one that serves bernoulli, categorical masks: none$"):
        gradients.build(named("binary"), mask_kinds=frozenset({"bernoulli", "categorical"}))


def test_unknown_name_is_one_line_that_names_the_key():
    with pytest.raises(ConfigError, match=r"^config\.estimator\.name is 'pathwize'; .*\(did you mean pathwise\?\)$"):
        gradients.build(named("pathwize"), mask_kinds=frozenset())
