from ctc_jax.runs.config import read_config
from ctc_jax.runs.directory import claim, note_start
from ctc_jax.runs.json_file import read_json, write_json
from ctc_jax.runs.provenance import provenance

__all__ = ["claim", "note_start", "provenance", "read_config", "read_json", "write_json"]
