import math
from dataclasses import dataclass
from typing import ClassVar

import ml_collections
import pytest

from ctc_jax.errors import ConfigError
from ctc_jax.options import OptionError, Options, Section, check_names, check_used, flatten, is_chosen, option


@dataclass(frozen=True)
class Plain(Options):
    unused: ClassVar[tuple[str, ...]] = ("width",)


@dataclass(frozen=True)
class Mixture(Options):
    components: int = option(10, "alternatives", at_least=1)
    family: str = option("logistic", "of a value", choices=("logistic", "gaussian"))
    scale: float = option(1.0, "levels", above=0)
    off: bool = option(False, "one component is black")


@dataclass(frozen=True)
class Shared(Options):
    width: int = option(8, "units", at_least=1)


SECTION = Section("likelihood", {"plain": Plain, "mixture": Mixture}, "mixture", Shared, "the distribution on pixels")


def test_the_defaults_are_those_of_the_dataclasses_with_parts_in_sub_sections():
    assert SECTION.defaults() == {
        "name": "mixture",
        "width": 8,
        "mixture": {"components": 10, "family": "logistic", "scale": 1.0, "off": False},
    }


def test_reading_the_defaults_gives_the_default_options():
    assert SECTION.read(SECTION.defaults()) == (Mixture(), Shared())


def test_a_section_of_a_config_is_read_as_a_dictionary_is():
    config = ml_collections.ConfigDict({"likelihood": {"name": "mixture", "width": 2, "mixture": {"off": True}}})
    assert SECTION.read(config.likelihood) == (Mixture(off=True), Shared(width=2))


def test_a_missing_key_has_its_default():
    assert SECTION.read({"name": "mixture", "mixture": {"off": True}}) == (Mixture(off=True), Shared())


def test_a_whole_number_stands_for_a_float():
    part, _ = SECTION.read({"mixture": {"scale": 2}})
    assert part.scale == 2.0
    assert isinstance(part.scale, float)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "mixtur"}, "config.likelihood.name is 'mixtur'; allowed: mixture, plain (did you mean mixture?)"),
        (
            {"mixture": {"components": 0}},
            "config.likelihood.mixture.components is 0; allowed: a whole number, 1 or more",
        ),
        ({"mixture": {"components": True}}, "config.likelihood.mixture.components is True"),
        ({"mixture": {"components": 2.0}}, "config.likelihood.mixture.components is 2.0"),
        ({"mixture": {"scale": 0.0}}, "config.likelihood.mixture.scale is 0.0; allowed: a finite number, above 0"),
        ({"mixture": {"scale": math.nan}}, "config.likelihood.mixture.scale is nan"),
        ({"mixture": {"scale": math.inf}}, "config.likelihood.mixture.scale is inf"),
        ({"mixture": {"off": 1}}, "config.likelihood.mixture.off is 1; allowed: True or False"),
        (
            {"mixture": {"family": "gausian"}},
            "config.likelihood.mixture.family is 'gausian'; allowed: logistic, gaussian (did you mean gaussian?)",
        ),
        ({"mixture": {"ofF": True}}, "config.likelihood.mixture.ofF is True; allowed: components, family, scale, off"),
        ({"widht": 3}, "config.likelihood.widht is 3; allowed: width (did you mean width?)"),
    ],
)
def test_a_value_that_does_not_fit_is_told_by_its_key(config, message):
    with pytest.raises(ConfigError) as error:
        SECTION.read(config)
    assert message in str(error.value)


def test_a_library_user_reads_the_name_of_the_argument_alone():
    with pytest.raises(OptionError, match=r"^components is 0; allowed: a whole number, 1 or more$"):
        Mixture(components=0)


def test_options_set_for_a_part_that_is_not_chosen_are_refused():
    config = flatten({"likelihood": {**SECTION.defaults(), "name": "plain"}, "train": {"steps": 3}, "seed": 0})
    check_used(config, ["likelihood.name", "likelihood.width", "train.steps", "seed"])
    message = (
        r"likelihood\.mixture\.off is False; allowed: its default, since likelihood\.name is 'plain' and not mixture"
    )
    with pytest.raises(ConfigError, match=message):
        check_used(config, ["likelihood.mixture.off"])


def test_keys_of_parts_that_are_not_chosen_are_told_from_the_others():
    config = {"seed": 0, "train.steps": 1, "estimator.name": "rloo, reinmax", "estimator.rloo.samples": 2}
    config |= {"estimator.reinmax.second_order": True, "estimator.daps.samples": 2}
    assert [key for key in config if not is_chosen(config, key)] == ["estimator.daps.samples"]


def test_shared_options_that_the_chosen_part_ignores_are_refused():
    config = flatten({"likelihood": {**SECTION.defaults(), "name": "plain", "width": 9}})
    check_used({**config, "likelihood.width": 8}, ["likelihood.width"], [SECTION])
    check_used({**config, "likelihood.name": "mixture"}, ["likelihood.width"], [SECTION])
    message = r"likelihood\.width is 9; allowed: 8 with likelihood\.name=plain, which has no use .*with mixture$"
    with pytest.raises(ConfigError, match=message):
        check_used(config, ["likelihood.width"], [SECTION])


def test_a_part_that_is_not_there_is_told_by_its_name():
    check_names({"likelihood.name": "plain"}, [SECTION, Section("train")])
    with pytest.raises(ConfigError, match=r"likelihood\.name is 'plane'; allowed: mixture, plain"):
        check_names({"likelihood.name": "plain,plane"}, [SECTION])


def test_a_name_with_commas_chooses_each_of_its_parts():
    config = {"estimator.name": "reinmax, rloo", "estimator.rloo.samples": 2, "estimator.arms.samples": 2}
    check_used(config, ["estimator.rloo.samples"])
    with pytest.raises(ConfigError, match=r"estimator\.arms\.samples is 2"):
        check_used(config, ["estimator.arms.samples"])


def test_every_key_is_documented_with_its_default_and_what_is_allowed():
    documented = {row.key: row for row in SECTION.documented()}
    assert {f"likelihood.{key}" for key in flatten(SECTION.defaults())} == documented.keys()
    assert documented["likelihood.mixture.scale"].allowed == "a finite number, above 0"
    assert documented["likelihood.name"].allowed == "plain, mixture"


def test_flatten_joins_the_keys_of_nested_mappings():
    assert flatten({"a": {"b": 1, "c": {"d": 2}}, "e": {}}) == {"a.b": 1, "a.c.d": 2, "e": {}}
