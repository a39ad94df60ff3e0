"""Whether recognition upwards fails by its order or by how it is learned: two levels of bits, every sum exact.

p(x | z1, z2) p(z1 | z2) p(z2) of 9 pixels, 4 and 2 bits, learned by the exact gradient of the ELBO and by one draw an
image with `reinmax`, as in the hierarchy: then what is known of a KL before a draw is analytic, the rest sampled. Data
are bars across or down a 3 x 3 picture, each pixel flipped with probability 0.1. A minute and a half on one core.
Tests: tests/benchmarks/bounds/test_orders.py.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from benchmarks.harness.machine import limit_threads
from benchmarks.harness.results import parser, write
from ctc_jax.gradients import BERNOULLI, ReinMax

PIXELS, LOWER, UPPER, UNITS = 9, 4, 2, 16
BATCH, RATE = 64, 5e-3
# What q of the upper bits and of the lower ones sees.
ORDERS = {
    "top_down": ("x", "x z2"),
    "bottom_up": ("z1", "x"),
    "bottom_up_with_image": ("x z1", "x"),
}
SIZES = {"x": PIXELS, "z1": LOWER, "z2": UPPER}
EVERY = {name: np.array([*itertools.product((0.0, 1.0), repeat=size)], np.float32) for name, size in SIZES.items()}


def probabilities() -> Float[np.ndarray, " pictures"]:
    """Of every picture."""
    bars = [np.zeros((3, 3)) for _ in range(6)]
    for place in range(3):
        bars[place][place] = bars[3 + place][:, place] = 1.0
    same = [EVERY["x"] == bar.ravel()[None] for bar in bars]
    return np.mean([np.prod(np.where(of, 0.9, 0.1), axis=1) for of in same], axis=0)


DATA = probabilities()


def init(order: str, key: Key[Array, ""]) -> dict:
    """Parameters of p, whose levels start nearly independent, and of q."""
    sees = dict(zip(("q2", "q1"), ORDERS[order], strict=True)) | {"p1": "z2", "x": "z1 z2"}
    outputs = {"q2": UPPER, "q1": LOWER, "p1": LOWER, "x": PIXELS}
    params = {"p2": jnp.zeros(UPPER)}
    for name, one in zip(outputs, jax.random.split(key, len(outputs)), strict=True):
        inputs = sum(SIZES[of] for of in sees[name].split())
        first, second = jax.random.split(one)
        params[name] = {
            "in": jax.random.normal(first, (inputs, UNITS)) / inputs**0.5,
            "bias": jnp.zeros(UNITS),
            "out": jax.random.normal(second, (UNITS, outputs[name])) * (0.1 if name == "p1" else 1.0) / UNITS**0.5,
        }
    return params


def logits(params: dict, *inputs: Float[Array, "*batch bits"]) -> Float[Array, "*batch bits"]:
    """Of one hidden layer, for all pairs of inputs whose batches broadcast."""
    batch = jnp.broadcast_shapes(*(of.shape[:-1] for of in inputs))
    joined = 2.0 * jnp.concatenate([jnp.broadcast_to(of, (*batch, of.shape[-1])) for of in inputs], axis=-1) - 1.0
    flat = joined.reshape(-1, joined.shape[-1])
    found = jnp.tanh(flat @ params["in"] + params["bias"][None]) @ params["out"]
    return found.reshape(*joined.shape[:-1], -1)


def exact(order: str, params: dict) -> dict[str, Float[Array, ""]]:
    """ELBO and log p(x), nats, averaged over the data; KLs, and what z2 says of the picture; by summing over all."""
    x, z1, z2 = (
        jnp.asarray(of).reshape(*(-1 if at == axis else 1 for at in range(3)), of.shape[1])
        for axis, of in enumerate(EVERY.values())
    )
    log_q2, log_q1, log_p1, log_p2, log_x = _log_probs(order, params, x, z1, z2)
    q = jnp.exp(log_q1 + log_q2)
    joint = log_x + log_p1 + log_p2
    of_upper = jnp.sum(q, axis=1)
    marginal = DATA @ of_upper
    return {
        "elbo_nats": DATA @ jnp.sum(q * (joint - log_q1 - log_q2), axis=(1, 2)),
        "log p(x)_nats": DATA @ jax.nn.logsumexp(joint, axis=(1, 2)),
        "kl_nats/z1": DATA @ jnp.sum(q * (log_q1 - log_p1), axis=(1, 2)),
        "kl_nats/z2": DATA @ jnp.sum(q * (log_q2 - log_p2), axis=(1, 2)),
        "information_nats/z2": DATA @ jnp.sum(of_upper * jnp.log(of_upper / marginal[None]), axis=1),
    }


def sampled(order: str, params: dict, key: Key[Array, ""], x: Float[Array, "batch pixels"]) -> Float[Array, " batch"]:
    """The ELBO of one draw an image, with the gradient of `reinmax`; all of a KL that is known before it analytic."""
    lower_key, upper_key = jax.random.split(key)
    bits = {"x": x}
    first, second = ("q2", "q1") if order == "top_down" else ("q1", "q2")
    keys, at = {"q1": lower_key, "q2": upper_key}, {}
    for name in (first, second):
        sees = ORDERS[order][0 if name == "q2" else 1]
        at[name] = logits(params[name], *(bits[of] for of in sees.split()))
        bits["z1" if name == "q1" else "z2"] = ReinMax().mask(keys[name], at[name], kind=BERNOULLI)
    prior = logits(params["p1"], bits["z2"])
    cost = _mean_log_prob(at["q2"], at["q2"]) - _mean_log_prob(at["q2"], params["p2"][None])
    cost += _mean_log_prob(at["q1"], at["q1"])
    cost -= _mean_log_prob(at["q1"], prior) if order == "top_down" else BERNOULLI.total_log_prob(prior, bits["z1"])
    return BERNOULLI.total_log_prob(logits(params["x"], bits["z1"], bits["z2"]), x) - cost


def trained(order: str, steps: int, seeds: int, *, by_draws: bool) -> list[dict[str, float]]:
    """What `exact` says of models trained so."""
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))

    def loss(params, key):
        if not by_draws:
            return -exact(order, params)["elbo_nats"]
        batch_key, key = jax.random.split(key)
        x = jnp.asarray(EVERY["x"])[jax.random.choice(batch_key, len(DATA), (BATCH,), p=jnp.asarray(DATA))]
        return -jnp.mean(sampled(order, params, key, x))

    def step(carry, key):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params, key), state)
        return (optax.apply_updates(params, updates), state), None

    def one(key):
        start = init(order, key)
        (params, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), jax.random.split(key, steps))
        return exact(order, params)

    found = jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(0), seeds))
    return [{name: float(of[seed]) for name, of in found.items()} for seed in range(seeds)]


def _log_probs(order, params, x, z1, z2):
    bits = {"x": x, "z1": z1, "z2": z2}
    of_upper, of_lower = (
        logits(params[name], *(bits[of] for of in sees.split()))
        for name, sees in zip(("q2", "q1"), ORDERS[order], strict=True)
    )
    pairs = (
        (of_upper, z2),
        (of_lower, z1),
        (logits(params["p1"], z2), z1),
        (params["p2"].reshape(1, 1, 1, -1), z2),
        (logits(params["x"], z1, z2), x),
    )
    return [jnp.sum(BERNOULLI.log_prob(at, of), axis=-1) for at, of in pairs]


def _mean_log_prob(at, of):
    """E log of bits with some logits, under those of others."""
    return jnp.sum(BERNOULLI.log_prob(of, jax.nn.sigmoid(at)), axis=-1)


def main() -> None:
    """Trains each order both ways."""
    flags = parser(__doc__, "orders")
    flags.add_argument("--steps", type=int, default=3_000, help="by draws; half as many by the exact gradient")
    flags.add_argument("--seeds", type=int, default=3)
    arguments = flags.parse_args()
    limit_threads(arguments.threads)
    rows = []
    for by_draws in (False, True):
        for order in ORDERS:
            steps = arguments.steps if by_draws else arguments.steps // 2
            of_seeds = trained(order, steps, arguments.seeds, by_draws=by_draws)
            means = {name: float(np.mean([one[name] for one in of_seeds])) for name in of_seeds[0]}
            spread = np.std([one["elbo_nats"] for one in of_seeds], ddof=1) / arguments.seeds**0.5
            learned = "one draw an image" if by_draws else "the exact gradient"
            rows.append({"inference": order, "learned by": learned, "standard error_nats": float(spread), **means})
            print(rows[-1], flush=True)
    notes = [
        f"Two levels of {LOWER} and {UPPER} bits, networks of {UNITS} tanh units, {arguments.seeds} seeds; the data's "
        f"own entropy is {-DATA @ np.log(DATA):.3f} nats. All figures are exact sums over pictures and bits, however a "
        "model was trained. q of z2 sees the picture, z1 or both; q of z1 the picture, in top-down inference z2 too."
    ]
    write(arguments.output, "Recognition up and down, by exact sums and by draws", {"": rows}, notes)


if __name__ == "__main__":
    main()
