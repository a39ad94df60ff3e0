from ctc_jax.runs.config import read_config
from ctc_jax.runs.directory import begin, claim, expand
from ctc_jax.runs.json_file import read_json, write_json
from ctc_jax.runs.provenance import provenance

__all__ = ["begin", "claim", "expand", "provenance", "read_config", "read_json", "write_json"]
