import dataclasses

import ml_collections
import pytest

from ctc_jax.errors import ConfigError
from ctc_jax.gradients import REGISTRY, RLOO, SECTION, GumbelRao, Pathwise, ReinMax, build
from tests.gradients.conftest import site

LEVELS = (site("bernoulli", name="level_1"), site("categorical", name="level_2"))


def named(name, **options):
    config = ml_collections.ConfigDict({**SECTION.defaults(), "name": name})
    config.update({name: options} if options else {})
    return config


def test_an_estimator_is_built_with_its_own_options():
    assert build(named("rloo", samples=5), (site(),)) == RLOO(samples=5)
    assert build(named("pathwise"), ()) == Pathwise()
    options = {"second_order": 0.5, "temperature": 2.0}
    assert build(named("reinmax", **options), LEVELS) == ReinMax(**options)


def test_every_estimator_is_taken_where_it_serves_the_masks_and_else_those_that_do_are_named():
    small = [site(kind, masks=2, categories=2) for kind in ("bernoulli", "categorical")]
    for sites in ((), (small[0],), (small[1],), tuple(small)):
        fitting = sorted(name for name, part in REGISTRY.items() if {one.kind for one in sites} <= part.kinds)
        for name, part in REGISTRY.items():
            if (sites and name in fitting) or (not sites and name == "pathwise"):
                assert type(build(named(name), sites)) is part
                continue
            with pytest.raises(ConfigError) as refused:
                build(named(name), sites)
            words = ", ".join(fitting) if sites else "pathwise"
            assert refused.value.key == "estimator.name"
            assert refused.value.allowed == f"one that serves {part.refuses(sites)}: {words}"


def test_unknown_name_is_one_line_that_names_the_key():
    with pytest.raises(ConfigError, match=r"^config\.estimator\.name is 'pathwize'; .*\(did you mean pathwise\?\)$"):
        build(named("pathwize"), ())


def test_options_out_of_their_range_are_refused_by_their_key():
    """Each option at a value beyond each of its limits."""
    refused = 0
    for name, part in REGISTRY.items():
        for field in dataclasses.fields(part):
            meaning, whole = field.metadata["meaning"], isinstance(field.default, int)
            beyond = {
                "at_least": lambda limit, whole=whole: limit - (1 if whole else 0.5),
                "at_most": lambda limit: limit + 0.5,
                "above": lambda limit: limit,
                "below": lambda limit: limit,
            }
            for which, value_of in beyond.items():
                if (limit := getattr(meaning, which)) is None:
                    continue
                value, kind = value_of(limit), next(iter(part.kinds)).name
                with pytest.raises(ConfigError) as error:
                    build(named(name, **{field.name: value}), (site(kind),))
                assert error.value.key == f"estimator.{name}.{field.name}"
                refused += 1
    assert refused >= 35


@pytest.mark.parametrize(
    ("name", "option", "value", "allowed"),
    [
        ("rloo", "samples", 1, "a whole number, 2 or more"),
        ("single_flips", "flips", 1, "a whole number, 2 or more"),
        ("nvil", "decay", 1.0, "a finite number, 0.0 or more, below 1.0"),
        ("reinmax", "second_order", 1.5, "a finite number, 0.0 or more, at most 1.0"),
        ("st_gumbel", "temperature", float("nan"), "a finite number, above 0.0"),
        ("daps", "entropy", -1.0, "a finite number, 0.0 or more"),
    ],
)
def test_limits_are_those_of_the_formulas(name, option, value, allowed):
    with pytest.raises(ConfigError) as refused:
        build(named(name, **{option: value}), (site(),))
    assert str(refused.value) == f"config.estimator.{name}.{option} is {value!r}; allowed: {allowed}"


def test_too_many_rewards_are_refused_in_numbers():
    assert build(named("enumerate"), (site("bernoulli", masks=16),))
    with pytest.raises(ConfigError, match=r"at most 65,536 rewards an example; 17 masks of 2 would take more$"):
        build(named("enumerate"), (site("bernoulli", masks=17),))
    levels = (site("bernoulli", masks=16), site(masks=1, categories=2))
    with pytest.raises(ConfigError, match=r"; 16 masks of 2 and 1 masks of 2 would take more$"):
        build(named("enumerate"), levels)


def test_names_with_commas_go_to_latents_in_their_order():
    estimators = build(named("reinmax, gumbel_rao"), LEVELS)
    assert [estimators.of(site.name) for site in LEVELS] == [ReinMax(), GumbelRao()]


@pytest.mark.parametrize(
    ("name", "sites", "message"),
    [
        ("reinmax,reinmax,reinmax", LEVELS, r"allowed: one name, or .* each latent with masks: level_1, level_2$"),
        ("reinmax,reinmax", (), r"allowed: one name, or with commas one for each latent with masks: none here$"),
        ("reinmax,rloo", LEVELS, r"is 'reinmax,rloo'; allowed: beside another, one of one pass: gumbel_rao, gumbel_"),
        ("reinmax,enumerate", LEVELS, r"allowed: beside another, one of one pass"),
        # Of the latent that it does not serve: gates have no Gumbel noise on two categories.
        ("gumbel_rao,reinmax", LEVELS, r"is 'gumbel_rao'; allowed: one that serves bernoulli masks"),
        ("reinmax,reinmx", LEVELS, r"is 'reinmx'; .*did you mean reinmax"),
    ],
)
def test_what_cannot_be_mixed_is_refused(name, sites, message):
    with pytest.raises(ConfigError, match=message):
        build(named(name), sites)
