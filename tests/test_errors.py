import pytest

from ctc_jax.errors import ConfigError, UserError, choose, nearest

REGISTRY = {"logistic": 1, "gaussian": 2}


def test_config_error_is_one_line_that_names_key_found_and_allowed():
    error = ConfigError("train.steps", -1, "1 or more")
    assert str(error) == "config.train.steps is -1; allowed: 1 or more"
    assert (error.key, error.found, error.allowed) == ("train.steps", -1, "1 or more")


def test_a_line_break_in_a_value_does_not_break_the_line():
    assert "\n" not in str(ConfigError("data.path", "a\nb", "a path"))


def test_config_error_is_a_user_error_with_exit_code_2():
    assert issubclass(ConfigError, UserError)
    assert ConfigError("seed", 1, "0").exit_code == 2


def test_nearest_names_the_closest_spelling():
    assert nearest("gausian", REGISTRY) == " (did you mean gaussian?)"


def test_nearest_is_silent_when_nothing_is_close():
    assert nearest("zzz", REGISTRY) == ""


def test_choose_returns_the_entry_of_that_name():
    assert choose(REGISTRY, "gaussian", "likelihood.name") == 2


@pytest.mark.parametrize(("name", "hint"), [("logistik", " (did you mean logistic?)"), ("", "")])
def test_choose_lists_the_choices_in_order_and_the_nearest(name, hint):
    with pytest.raises(ConfigError) as caught:
        choose(REGISTRY, name, "likelihood.name")
    assert str(caught.value) == f"config.likelihood.name is {name!r}; allowed: gaussian, logistic{hint}"
