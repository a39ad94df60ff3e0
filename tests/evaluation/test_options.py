import numpy as np
import pytest

from ctc_jax.data import Dataset, Split
from ctc_jax.errors import ConfigError
from ctc_jax.evaluation import SECTION, EvaluateOptions, read_options
from ctc_jax.options import OptionError


def dataset(images: int, classes: int = 1) -> Dataset:
    split = Split(np.zeros((images, 4, 4, 1), np.uint8), np.zeros(images, np.int32))
    return Dataset("noise", split, split, split, bits=1, classes=classes, binarization="static")


def test_the_section_of_the_defaults_reads_back_as_the_options():
    assert SECTION.read_shared(SECTION.defaults()) == EvaluateOptions()


def test_spaces_are_taken_in_order_and_once():
    assert EvaluateOptions(features="random, pixels,random").spaces == ["random", "pixels"]


@pytest.mark.parametrize(("names", "words"), [("pixel", "did you mean pixels"), ("", "''"), ("random,,pixels", "''")])
def test_unknown_spaces_are_refused(names, words):
    with pytest.raises(OptionError, match=words) as caught:
        EvaluateOptions(features=names)
    assert str(caught.value).startswith("features is ")


@pytest.mark.parametrize("key", ["importance_samples", "batch_size", "latents", "likelihood_samples"])
def test_a_number_below_one_is_refused(key):
    with pytest.raises(ConfigError, match=rf"config\.evaluate\.{key} is 0; allowed: a whole number, 1 or more"):
        read_options({key: 0})


@pytest.mark.parametrize("count", [-1, 5])
def test_samples_too_few_to_have_neighbors_are_refused(count):
    with pytest.raises(OptionError, match=rf"quality_samples is {count}; allowed: 0 \(off\), or 6 or more"):
        EvaluateOptions(quality_samples=count)


def test_what_a_dataset_cannot_have_is_refused_only_where_it_is_measured():
    assert read_options({"features": "classifier"}, dataset(9)).spaces == ["classifier"]
    assert read_options({"quality_samples": 6, "features": "classifier"}, dataset(9, classes=2)).quality_samples == 6
    with pytest.raises(ConfigError, match=r"evaluate\.features .* allowed: pixels, random; noise has no labels"):
        read_options({"quality_samples": 6}, dataset(9))
    with pytest.raises(ConfigError, match=r"evaluate\.quality_samples is 6; allowed: 0 with fewer than 6 training"):
        read_options({"quality_samples": 6, "features": "pixels"}, dataset(5))
