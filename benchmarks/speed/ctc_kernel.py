"""The price of the mixture likelihood: plain automatic differentiation against the derivative written by hand.

Times a value and a value with gradients from given parameters, `kernel`, and from decoder features through the output
layer, `layer`, on whatever device JAX finds. Bandwidth is counted as the least traffic possible (parameters read once
for the value; once more, and gradients written, for the gradient) and compared with that of `x + 1` over the
parameters. On CPU the processor's time is given beside the wall clock's: it is what remains on a shared machine.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness.machine import limit_threads
from benchmarks.harness.results import parser, write
from ctc_jax.distributions import GroupedCTC
from ctc_jax.likelihoods import build

BITS, CHANNELS = 8, 3
HALF_RANGE = (2**BITS - 1) / 2


def plain_log_prob(logits, loc, log_scale, value):
    """The formula of `GroupedCTC` as one would write it, components and channels innermost: `[...]` nats an image."""
    level = value[..., None, :].astype(jnp.float32)
    inverse = jnp.exp(-log_scale)
    upper, lower = (level - loc + 0.5) * inverse, (level - loc - 0.5) * inverse
    first, last = -jax.nn.softplus(-upper), -jax.nn.softplus(lower)
    interior = jnp.log(-jnp.expm1(-inverse)) + first + last
    log_mass = jnp.where(level == 0, first, jnp.where(level == 2**BITS - 1, last, interior))
    joint = jax.nn.log_softmax(logits) + jnp.sum(log_mass, axis=-1)
    return jnp.sum(jax.nn.logsumexp(joint, axis=-1), axis=(-2, -1))


def milliseconds(function, arguments, repeats):
    """Median wall time and median processor time of a call, after one that compiles."""
    jax.block_until_ready(function(*arguments))
    wall, processor = [], []
    for _ in range(repeats):
        start, start_processor = time.perf_counter(), time.process_time()
        jax.block_until_ready(function(*arguments))
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - start_processor)
    return {"wall_ms": 1e3 * float(np.median(wall)), "processor_ms": 1e3 * float(np.median(processor))}


def kernel_cases(options, key):
    """`(name, function of (raw, value), raw)`: raw parameters as each form would have them from its output layer."""
    batch, side, components = options.batch, options.side, options.components
    positions, values = (batch, side, side), CHANNELS * components
    raw = jax.random.normal(key, (components + 2 * values, batch * side * side))

    def fused(raw, value):
        loc, logits, log_scale = jnp.split(raw, (values, values + components))

        def last(array):
            return jnp.moveaxis(array.reshape(CHANNELS, components, *positions), (0, 1), (-1, -2))

        logits = jnp.moveaxis(logits.reshape(components, *positions), 0, -1)
        loc, log_scale = last(HALF_RANGE * (loc + 1)), last(log_scale + 2)
        return GroupedCTC(logits, loc, log_scale, bits=BITS, family=options.family).log_prob(value).sum()

    def plain(raw, value):
        loc, logits, log_scale = jnp.split(raw, (values, values + components), axis=-1)
        shape = (*positions, components, CHANNELS)
        loc, log_scale = (HALF_RANGE * (loc + 1)).reshape(shape), (log_scale + 2).reshape(shape)
        return plain_log_prob(logits, loc, log_scale, value).sum()

    cases = [("fused", fused, raw)]
    if options.family == "logistic":
        cases.append(("plain", plain, jnp.moveaxis(raw, 0, -1).reshape(*positions, -1)))
    return cases


def layer_cases(options, key):
    """`(name, function of (inputs, value), inputs)` with inputs the output layer's parameters and its features."""
    features = jax.random.normal(key, (options.batch, options.side, options.side, options.features))
    for name in ("gaussian", "logistic", "ctc"):
        section = {"name": name, "ctc": {"components": options.components, "family": options.family}}
        shape = (options.side, options.side, CHANNELS)
        likelihood = build(section, shape=shape, bits=BITS, features=options.features)

        def total(inputs, value, likelihood=likelihood):
            parameters, features = inputs
            return likelihood.apply(parameters, features).log_prob(value).sum()

        yield name, total, (likelihood.init(key, features), features)


def measure(options):
    """Rows of the two tables, and the bandwidth of a copy, GB/s."""
    key = jax.random.key(0)
    value = jax.random.randint(key, (options.batch, options.side, options.side, CHANNELS), 0, 2**BITS)
    value = value.astype(jnp.uint8)
    cases = kernel_cases(options, key)
    raw = cases[0][2]
    copy = milliseconds(jax.jit(lambda x: x + 1), (raw,), options.repeats)
    bandwidth = 2 * raw.nbytes / copy["wall_ms"]
    tables = {}
    for what, group in (("kernel", cases), ("layer", layer_cases(options, key))):
        tables[what] = []
        for name, function, inputs in group:
            for mode, transform in (("value", lambda f: f), ("value and gradient", jax.value_and_grad)):
                row = {"form": name, "mode": mode}
                row |= milliseconds(jax.jit(transform(function)), (inputs, value), options.repeats)
                if what == "kernel":
                    passes = 1 if mode == "value" else 3
                    row["share of bandwidth"] = (passes * raw.nbytes + value.nbytes) / row["wall_ms"] / bandwidth
                tables[what].append(row)
    return tables, bandwidth / 1e6


def main():
    """Measures and writes the page."""
    flags = parser(__doc__, "ctc_kernel")
    flags.add_argument("--batch", type=int, default=64)
    flags.add_argument("--side", type=int, default=32)
    flags.add_argument("--components", type=int, default=10)
    flags.add_argument("--features", type=int, default=64)
    flags.add_argument("--family", choices=("logistic", "gaussian"), default="logistic")
    flags.add_argument("--repeats", type=int, default=20)
    options = flags.parse_args()
    limit_threads(options.threads)
    tables, bandwidth = measure(options)
    notes = [
        f"Batch {options.batch}, {options.side}x{options.side}x{CHANNELS}, {options.components} components, "
        f"{options.family}. A copy reaches {bandwidth:.1f} GB/s."
    ]
    write(options.output, "The mixture likelihood's kernel", tables, notes)


if __name__ == "__main__":
    main()
