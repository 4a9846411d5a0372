"""Which layers of a frozen model tell the emotions of unseen speakers apart."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from akd_toolkit.solvers import minimise
from akd_toolkit.teachers.fitting import balanced_nll

MAX_UTTERANCES = 1000  # from which the weights are learned; the cost grows with their cube


def learn_layer_weights(standard: Tensor, labels: Tensor, speakers: Sequence[str], balance: Tensor) -> Tensor:
    """Softmax weights [L] of the layers' kernels under which unseen speakers are told apart best.

    minimise over a = softmax(free), r, s:   balanced cross-entropy of s f
    f_i = ridge regression (strength r) on one-hot labels, kernel sum_l a_l <z_l, z_l'> / D, without the speaker of i

    Learned on the utterances that the classifier is fitted to, the weights would go to whichever layer separates those
    best, which is not the layer that generalises.

    Source: layer weights as in Yang et al. 2021 (SUPERB); sums of kernels as in Gönen & Alpaydın 2011.

    Shape
    -----
    standard: [n, L, D], standardised. labels, balance: [n]. Returns [L], sum 1, equal where there is only one speaker.
    """
    num_layers, size = standard.shape[1:]
    names = np.asarray(speakers)
    if num_layers == 1 or len(np.unique(names)) < 2:
        return torch.full((num_layers,), 1.0 / num_layers)
    targets = torch.nn.functional.one_hot(labels).double()
    kept = torch.arange(0, len(labels), -(-len(labels) // MAX_UTTERANCES))
    standard, targets, labels, balance = standard[kept], targets[kept], labels[kept], balance[kept]
    names = names[kept.numpy()]
    kernels = torch.stack([layer @ layer.T for layer in standard.unbind(1)]).double() / size  # [L, n, n]
    left_out = [torch.from_numpy(np.flatnonzero(names == name)) for name in np.unique(names)]
    unweight = 1 / (balance * len(labels))
    free = torch.zeros(num_layers, dtype=torch.float64, requires_grad=True)
    log_ridge = torch.tensor(np.log(0.3), requires_grad=True)
    log_scale = torch.tensor(np.log(10.0), requires_grad=True)

    def loss() -> Tensor:
        kernel = torch.einsum("l,lij->ij", torch.softmax(free, dim=0), kernels) + 1.0  # + 1: a constant term
        answers = left_out_answers(kernel, targets, log_ridge.exp() * unweight, left_out)
        return balanced_nll(log_scale.exp() * answers, labels, balance)

    minimise(loss, [free, log_ridge, log_scale], steps=15)
    return torch.softmax(free.detach(), dim=0).float()


def left_out_answers(kernel: Tensor, targets: Tensor, ridge: Tensor, left_out: list[Tensor]) -> Tensor:
    """Kernel ridge regression of every group of rows by all other rows, from one inverse for all groups.

    With A = (kernel + diag(ridge))^-1:   f_g = y_g - (A_gg)^-1 (A y)_g

    Source: Pahikkala, Boberg & Salakoski 2006.

    Shape
    -----
    kernel: [n, n]. targets: [n, C]. ridge: [n], > 0. left_out: groups of row numbers that cover all rows once.

    Example
    -------
    >>> kernel, targets = torch.ones(2, 2), torch.tensor([[1.0], [3.0]])
    >>> left_out_answers(kernel, targets, torch.ones(2), [torch.tensor([0]), torch.tensor([1])])  # half the other's
    tensor([[1.5000],
            [0.5000]])
    """
    inverse = torch.linalg.inv(kernel + torch.diag(ridge))
    residual = inverse @ targets
    answers = [targets[rows] - torch.linalg.solve(inverse[rows][:, rows], residual[rows]) for rows in left_out]
    order = torch.argsort(torch.cat(left_out))
    return torch.cat(answers)[order]
