"""Training steps of the checkout on the module path, for `revisions.py`. Arguments: a config, keys of it as JSON.

Asks of the checkout only what launch.py has always asked, so that it runs with any revision; hence nothing of this
folder is imported.
"""

import importlib
import json
import sys
import time

import jax


def main() -> None:
    """Compiles a step, then takes as many as it reads; ends with the processor's seconds of both parts."""
    from ctc_jax import training

    name, _, preset = sys.argv[1].partition(":")
    config = importlib.import_module(f"configs.{name}").get_config(preset)
    config.update_from_flattened_dict(json.loads(sys.argv[2]))
    experiment = training.build(config)
    state = jax.jit(experiment.step.init, out_shardings=experiment.sharding)()
    batch = jax.block_until_ready(experiment.stream(0, 1))
    call = jax.jit(experiment.step, donate_argnums=0)
    started = time.process_time()
    lowered = call.lower(state, batch)
    traced = time.process_time()
    step = lowered.compile()
    compiled = time.process_time()
    done = 0
    state, _ = step(state, batch)
    print("ready", flush=True)
    for line in sys.stdin:
        for _ in range(int(line)):
            done += 1
            state, _ = step(state, experiment.stream(done, 1))
        jax.block_until_ready(state)
        print("done", flush=True)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    times = {"trace_seconds": traced - started, "compile_seconds": compiled - traced}
    print(json.dumps({**times, "parameters": parameters}), flush=True)


if __name__ == "__main__":
    main()
