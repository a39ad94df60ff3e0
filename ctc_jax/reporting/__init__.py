"""Numbers and pictures of a run, written to files. Floor 1: arrays and dictionaries in, files out; knows no model."""

from ctc_jax.reporting.curves import draw_curves
from ctc_jax.reporting.options import SECTION, ReportOptions
from ctc_jax.reporting.overview import overview
from ctc_jax.reporting.page import REPORT, Picture, write_report
from ctc_jax.reporting.pictures import grid, labeled_rows, mean_and_samples, pair_grid, save_bytes, save_gif, save_png
from ctc_jax.reporting.progress import Progress
from ctc_jax.reporting.rank_histograms import draw_rank_histograms
from ctc_jax.reporting.writers import MetricWriter, is_done, read_history, truncate_history

__all__ = [
    "REPORT",
    "SECTION",
    "MetricWriter",
    "Picture",
    "Progress",
    "ReportOptions",
    "draw_curves",
    "draw_rank_histograms",
    "grid",
    "is_done",
    "labeled_rows",
    "mean_and_samples",
    "overview",
    "pair_grid",
    "read_history",
    "save_bytes",
    "save_gif",
    "save_png",
    "truncate_history",
    "write_report",
]
