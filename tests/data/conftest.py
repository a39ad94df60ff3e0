import pytest

from ctc_jax.data import SECTION
from ctc_jax.data.places import Places


@pytest.fixture
def data_config(tmp_path):
    """A `data` section with folders of the test's own; keys of the dataset's own go into its sub-section."""

    def make(name="npz", **changes):
        config = {**SECTION.defaults(), "name": name}
        config.update(directory=str(tmp_path / "cache"), tfds_directory=str(tmp_path / "prepared"))
        for key, value in changes.items():
            if key in config:
                config[key] = value
            else:
                config[name] = {**config[name], key: value}
        return config

    return make


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path / "cache", tmp_path / "prepared")
