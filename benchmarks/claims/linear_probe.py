"""How much of something a linear map reads off a code. Tests: tests/benchmarks/claims/test_linear_probe.py."""

import numpy as np
from jaxtyping import Float, Num

# Of the mean eigenvalue of the codes' Gram matrix.
PENALTIES = 10.0 ** np.arange(-6, 4)


def r_squared(
    codes: Num[np.ndarray, "images units"],
    targets: Num[np.ndarray, "images numbers"],
    new_codes: Num[np.ndarray, "others units"],
    new_targets: Num[np.ndarray, "others numbers"],
) -> float:
    """The share of the variance of new targets that ridge regression on the first images explains.

    At most 1; 0 is what the mean of the targets would reach, and less is worse. The penalty is that of the least
    leave-one-out error among the first images, which has a closed form (Golub, Heath and Wahba 1979).
    """
    center, middle = codes.mean(axis=0, dtype=np.float64), targets.mean(axis=0, dtype=np.float64)
    apart, wanted = codes - center, targets - middle
    eigenvalues, vectors = np.linalg.eigh(apart @ apart.T)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    rotated, scale = vectors.T @ wanted, eigenvalues.mean() or 1.0

    def fit(penalty: float) -> tuple[Float[np.ndarray, "images numbers"], float]:
        inverse = 1.0 / (eigenvalues + penalty * scale)
        dual = vectors @ (inverse[:, None] * rotated)
        # The mean is fitted too: constants are a direction without penalty, and no part of what is left.
        left = vectors**2 @ inverse - 1.0 / (len(codes) * penalty * scale)
        return dual, float(np.sum((dual / left[:, None]) ** 2))

    dual = min((fit(penalty) for penalty in PENALTIES), key=lambda found: found[1])[0]
    errors = (new_codes - center) @ (apart.T @ dual) + middle - new_targets
    return float(1.0 - np.sum(errors**2) / np.sum((new_targets - new_targets.mean(axis=0)) ** 2))
