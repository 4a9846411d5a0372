"""Linear maps of low rank, fitted in closed form to what the maps of a larger model answer."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

RIDGE = 1e-3  # times the mean variance of the inputs


class LowRank(nn.Module):
    """A linear map through few channels: ``widen(narrow(x))``, of which only ``widen`` has a bias.

    The parts are set by ``fit``; before, they are random.
    """

    narrow: nn.Module
    widen: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        return self.widen(self.narrow(x))

    @torch.no_grad()
    def fit(self, inputs: Iterable[Tensor], targets: Iterable[Tensor]) -> None:
        """Reduced-rank regression of ``targets`` on ``inputs``, each [frames, channels], in pairs.

        minimises  E ‖y - U A x - b‖^2 + ridge ‖U A‖^2  over U [C, rank], A [rank, D] and b [C]

        M = Cov(y, x) (Cov(x) + ridge I)^-1;  U holds the first eigenvectors of M (Cov(x) + ridge I) M^T;  A = U^T M

        Source: Izenman 1975, "Reduced-rank regression for the multivariate linear model".
        """
        count, x_sum, y_sum, xx, yx = 0, 0.0, 0.0, 0.0, 0.0
        for x, y in zip(inputs, targets, strict=True):
            count += len(x)
            x_sum, y_sum = x_sum + x.sum(0).double(), y_sum + y.sum(0).double()
            xx, yx = xx + (x.T @ x).double(), yx + (y.T @ x).double()
        x_mean, y_mean = x_sum / count, y_sum / count
        xx = xx / count - x_mean.outer(x_mean)
        yx = yx / count - y_mean.outer(x_mean)
        xx.diagonal().add_(RIDGE * xx.diagonal().mean())
        regression = torch.linalg.solve(xx, yx.T).T
        basis, rest = torch.linalg.qr(regression)  # so that the matrix below has the smaller of both sizes
        directions = basis @ torch.linalg.eigh(rest @ xx @ rest.T).eigenvectors[:, -self.rank :]
        narrow = directions.T @ regression
        self.narrow.weight.copy_(narrow.unflatten(1, self.narrow.weight.shape[1:]))
        self.widen.weight.copy_(directions.reshape(self.widen.weight.shape))
        self.widen.bias.copy_(y_mean - directions @ (narrow @ x_mean))


class LowRankLinear(LowRank):
    """A linear layer of low rank: [..., D] -> [..., C].

    Example
    -------
    >>> layer, x = LowRankLinear(2, 3, rank=1), torch.tensor([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])
    >>> layer.fit([x], [torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 2.0], [1.0, 2.0, 4.0]])])
    >>> [round(value, 2) for value in layer(torch.tensor([2.0, 5.0])).tolist()]  # nearly 1, 2, 4
    [1.0, 2.0, 4.0]
    """

    def __init__(self, channels_in: int, channels_out: int, rank: int):
        super().__init__()
        self.rank = rank
        self.narrow = nn.Linear(channels_in, rank, bias=False)
        self.widen = nn.Linear(rank, channels_out)


class LowRankConvolution(LowRank):
    """A convolution of three taps as one of fewer channels and a linear map: [B, D, T] -> [B, C, T / stride].

    Example
    -------
    >>> conv, x = LowRankConvolution(2, 3, rank=3, stride=1), torch.arange(8.0).reshape(1, 2, 4)
    >>> conv(x).shape
    torch.Size([1, 3, 4])
    >>> conv.patches(x)[0].tolist()  # what the first output frame reads, channel by channel
    [0.0, 0.0, 1.0, 0.0, 4.0, 5.0]
    """

    def __init__(self, channels_in: int, channels_out: int, rank: int, stride: int):
        super().__init__()
        self.rank, self.stride = rank, stride
        self.narrow = nn.Conv1d(channels_in, rank, 3, stride=stride, padding=1, bias=False)
        self.widen = nn.Conv1d(rank, channels_out, 1)

    def patches(self, x: Tensor) -> Tensor:
        """What each output frame reads, for ``fit``: [1, D, T] -> [T / stride, 3 D]."""
        return nn.functional.unfold(x[:, :, None], (1, 3), padding=(0, 1), stride=(1, self.stride))[0].T
