"""Every key of every section: a value of another type, or outside of its limits, is refused by the key it stands at."""

import copy
import dataclasses
import math

import pytest

from ctc_jax import data, evaluation, gradients, likelihoods, models, objectives, posteriors, reporting, training
from ctc_jax.errors import ConfigError

PARTS = (data, models, likelihoods, posteriors, gradients, objectives, training, evaluation, reporting)
SECTIONS = [part.SECTION for part in PARTS]
WRONG_KIND = {
    int: [1.5, "x", True, None],
    float: ["x", True, None, math.nan, math.inf, -math.inf],
    bool: [1, "x"],
    str: [1],
}
# Every finite number is a value of the first three; the last is 0 or 2 or more, which no single limit says.
ANY_NUMBER = {
    "model.ctc_hierarchy.value_loc",
    "model.top_down.value_loc",
    "model.negative_slope",
    "evaluate.quality_samples",
}


def keys(section):
    """Path of each key below the section, the name of the part that must be chosen for it to be read, and its field."""
    for field in dataclasses.fields(section.shared):
        yield (field.name,), section.default, field
    for name, part in section.registry.items():
        for field in dataclasses.fields(part):
            yield (name, field.name), name, field


def beyond(field):
    """Values just outside of each limit."""
    meaning, step = field.metadata["meaning"], 1 if type(field.default) is int else 1e-3
    near = [(meaning.at_least, -step), (meaning.at_most, step), (meaning.above, 0), (meaning.below, 0)]
    outside = [limit + shift for limit, shift in near if limit is not None]
    return outside + (["none of the choices"] if meaning.choices and type(field.default) is str else [])


@pytest.mark.parametrize("section", SECTIONS, ids=[section.key for section in SECTIONS])
def test_a_value_that_does_not_fit_is_told_by_its_own_key_however_the_others_are(section):
    for path, chosen, field in keys(section):
        for value in [*WRONG_KIND[type(field.default)], *beyond(field)]:
            config = copy.deepcopy(section.defaults())
            if section.registry:
                config["name"] = chosen
            place = config
            for part in path[:-1]:
                place = place[part]
            place[path[-1]] = value
            with pytest.raises(ConfigError) as told:
                section.read(config)
            assert told.value.key == ".".join([section.key, *path]), value


def test_every_number_has_a_limit():
    free = {
        ".".join([section.key, *path])
        for section in SECTIONS
        for path, _, field in keys(section)
        if type(field.default) in (int, float) and not beyond(field) and not field.metadata["meaning"].choices
    }
    assert free == ANY_NUMBER
