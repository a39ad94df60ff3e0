import pytest

from ctc_jax import likelihoods


@pytest.fixture
def make():
    """`make(name, ...)`: a likelihood by its config, of images of 4x4 pixels, other keywords being its own options."""

    def build(name, *, channels=1, bits=8, features=4, scale="pixel", fixed_scale=8.0, **options):
        config = {"name": name, "scale": scale, "fixed_scale": fixed_scale, name: options}
        return likelihoods.build(config, shape=(4, 4, channels), bits=bits, features=features)

    return build
