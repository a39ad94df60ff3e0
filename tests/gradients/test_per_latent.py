import pytest

from configs import base
from ctc_jax.errors import ConfigError
from ctc_jax.gradients import REGISTRY, build_per_latent

LATENTS = {"level_1": "bernoulli", "level_2": "categorical"}


def named(name):
    config = base.get_config().estimator
    config.name = name
    return config


def test_names_go_to_latents_in_their_order():
    bound = build_per_latent(named("reinmax, gumbel_rao"), LATENTS)
    assert [bound.of(latent).entry for latent in LATENTS] == [REGISTRY["reinmax"], REGISTRY["gumbel_rao"]]


@pytest.mark.parametrize(
    ("name", "latents", "message"),
    [
        ("reinmax,reinmax,reinmax", LATENTS, r"allowed: one name, or .* each latent with masks: level_1, level_2$"),
        ("reinmax,reinmax", {}, r"allowed: one name, or with commas one for each latent with masks: none here$"),
        ("reinmax,rloo", LATENTS, r"is 'reinmax,rloo'; allowed: beside another, one of one pass: gumbel_rao, gumbel_"),
        ("reinmax,enumerate", LATENTS, r"allowed: beside another, one of one pass"),
        # Of the latent that it does not serve: gates have no Gumbel noise on two alternatives.
        ("gumbel_rao,reinmax", LATENTS, r"is 'gumbel_rao'; allowed: one that serves bernoulli masks"),
        ("reinmax,reinmx", LATENTS, r"is 'reinmx'; .*did you mean reinmax"),
    ],
)
def test_what_cannot_be_mixed_is_refused(name, latents, message):
    with pytest.raises(ConfigError, match=message):
        build_per_latent(named(name), latents)
