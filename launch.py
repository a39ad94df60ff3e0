"""The command `ctc-jax` in a clone: trains, evaluates, samples or reports an experiment. See docs/running.md."""

from ctc_jax.cli.start import start

if __name__ == "__main__":
    start()
