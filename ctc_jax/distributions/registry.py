"""Value families by name: a new one is one file and one line here. Tests: test_value_family.py."""

from ctc_jax.distributions.discretized_gaussian import GAUSSIAN
from ctc_jax.distributions.discretized_logistic import LOGISTIC
from ctc_jax.distributions.value_family import ValueFamily

VALUE_FAMILIES: dict[str, ValueFamily] = {"logistic": LOGISTIC, "gaussian": GAUSSIAN}
