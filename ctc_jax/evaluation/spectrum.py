"""Radially averaged power spectra of pictures, and how far two are apart. Tests: tests/evaluation/test_spectrum.py."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Num

CHUNK = 1000  # pictures transformed at a time
FLOOR = 1e-12  # powers below count as this: a picture without any detail is at a finite distance


class Spectrum(NamedTuple):
    """Mean power of pictures by spatial frequency.

    Attributes:
      frequency: centers of the rings, cycles a pixel, from one cycle a picture to half a cycle a pixel.
      power: squared levels rescaled to [0, 1]; white noise has its variance at every frequency.
    """

    frequency: Float64[np.ndarray, " rings"]
    power: Float64[np.ndarray, " rings"]


def radial_spectrum(images: Num[np.ndarray, "images height width channels"], levels: int) -> Spectrum:
    """Power of the grey pictures in rings of frequency, averaged over pictures.

    The mean is removed and a Hann window applied, so that a picture's opposite edges, which the Fourier transform takes
    for neighbors, add no high frequencies. Rings are one cycle a picture wide (of its shorter side); the corners beyond
    half a cycle a pixel are in none.

    Args:
      images: levels 0 to `levels`, at least 2 x 2 pixels.
      levels: the highest level.
    """
    height, width = images.shape[1:3]
    side = min(height, width)
    window = np.outer(_hann(height), _hann(width))
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]) * side
    ring = np.rint(radius).astype(int).ravel()
    total = np.zeros(height * width)
    for first in range(0, len(images), CHUNK):
        grey = np.asarray(images[first : first + CHUNK], np.float64).mean(axis=-1) / levels
        mean = np.sum(grey * window, axis=(1, 2), keepdims=True) / window.sum()
        total += np.sum(np.abs(np.fft.fft2((grey - mean) * window)) ** 2, axis=0).ravel()
    power = total / (len(images) * np.sum(window**2))
    of_rings = np.bincount(ring, power) / np.bincount(ring)
    rings = np.arange(1, side // 2 + 1)
    return Spectrum(rings / side, of_rings[rings])


def spectrum_distance_decades(one: Spectrum, other: Spectrum) -> float:
    """Root mean square over frequencies of the difference of log10 power: 1 is a factor of ten everywhere."""
    ratio = np.log10(np.maximum(one.power, FLOOR)) - np.log10(np.maximum(other.power, FLOOR))
    return float(np.sqrt(np.mean(ratio**2)))


def _hann(size: int) -> np.ndarray:
    """The Hann window without its zeros at the ends, which would leave pixels out."""
    return np.hanning(size + 2)[1:-1]
