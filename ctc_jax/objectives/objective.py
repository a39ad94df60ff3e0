"""What every training objective is called with and gives back. Tests: tests/objectives."""

import abc
from dataclasses import dataclass

import jax
from jaxtyping import Array, Float, Int, Key

from ctc_jax.data import Batch
from ctc_jax.models import Model, Params
from ctc_jax.options import Options

Metrics = dict[str, jax.Array]


@dataclass(frozen=True)
class AbstractObjective(Options, abc.ABC):
    """An objective is its options."""

    @abc.abstractmethod
    def __call__(
        self, model: Model, params: Params, key: Key[Array, ""], batch: Batch, step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """The loss, and metrics with their units in the names, `elbo_nats` and `loss_nats` among them."""

    def check_model(self, model: Model) -> None:
        """Refuses a model that the objective does not fit, when it is built.

        Raises:
          OptionError: about one of the objective's own options, or about `name`, that of the objective.
        """
        del model
