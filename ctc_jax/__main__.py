"""`python -m ctc_jax` is the command `ctc-jax`."""

from ctc_jax.cli.start import start

if __name__ == "__main__":
    start()
