"""Convex fits: L-BFGS, a linear classifier, ridge regression."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def minimise(
    loss: Callable[[], Tensor], parameters: Sequence[Tensor], steps: int, history: int = 10, tolerance: float = 1e-6
) -> None:
    """Minimise ``loss()`` over ``parameters`` in place by at most ``steps`` deterministic steps of L-BFGS.

    Source: Nocedal & Wright 2006, "Numerical optimization", algorithms 7.5 and 3.5 (``torch.optim.LBFGS``).

    Arguments
    ---------
    history
        Earlier steps from which the curvature is estimated.
    tolerance
        Largest gradient that counts as 0.

    Example
    -------
    >>> x = torch.zeros(1, requires_grad=True)
    >>> minimise(lambda: (x - 3).square().sum(), [x], steps=10)
    >>> round(x.item(), 3)
    3.0
    """
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=steps, history_size=history, tolerance_grad=tolerance, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(closure)
    optimizer.zero_grad()


def fit_classifier(
    inputs: Tensor, targets: Tensor, shares: Tensor, l2: float, weight: Tensor, bias: Tensor, steps: int = 100
) -> None:
    """Fit a linear classifier; ``weight`` and ``bias`` (with gradients) are changed in place.

    minimise over W, b:   sum_i shares_i H(targets_i, softmax(W x_i + b)) + 0.5 l2 |W|^2

    Source: multinomial logistic regression, Hastie, Tibshirani & Friedman 2009, section 4.4.

    Shape
    -----
    inputs: [n, D]. targets: [n], class indices, or [n, C], probabilities. shares: [n]. weight: [C, D]. bias: [C].
    """

    def loss() -> Tensor:
        errors = F.cross_entropy(inputs @ weight.T + bias, targets, reduction="none")
        return (errors * shares).sum() + 0.5 * l2 * weight.square().sum()

    minimise(loss, [weight, bias], steps)


def ridge(inputs: Tensor, truth: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Weight [A, D] and bias [A] of the linear regression of truth [n, A] on inputs [n, D], in closed form.

    minimise   (1 / n) sum_i |truth_i - bias - W inputs_i|^2 + strength |W|^2

    Source: Hoerl & Kennard 1970; for D > n the dual system of size n is solved.

    Example
    -------
    >>> ridge(torch.tensor([[-1.0], [1.0]]), torch.tensor([[2.0], [4.0]]), strength=1.0)  # 2 / (2 + 2), and the mean
    (tensor([[0.5000]]), tensor([3.]))
    """
    centre, mean = inputs.mean(dim=0), truth.mean(dim=0)
    rows, truth = inputs - centre, (truth - mean).double()
    wide = rows.shape[1] > rows.shape[0]
    system = (rows @ rows.T if wide else rows.T @ rows).double()
    system.diagonal().add_(strength * len(rows))
    if wide:
        weight = rows.T @ torch.linalg.solve(system, truth).float()
    else:
        weight = torch.linalg.solve(system, rows.T.double() @ truth).float()
    return weight.T.contiguous(), mean - centre @ weight
