import pytest
from torch import nn

from akd_toolkit.deploy.bench.measures import operations_of_file, operations_of_module, time_calls


class Clock:
    """Advances only by the seconds that a call takes."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def work(self, seconds):
        self.now += seconds


@pytest.mark.parametrize(("each", "seconds", "calls"), [(0.25, 1.0, 4), (8.0, 0.5, 3)])
def test_calls_repeat_until_the_seconds_have_passed_and_enough_are_made(each, seconds, calls):
    clock = Clock()
    assert time_calls(lambda: clock.work(each), seconds, fewest=3, clock=clock) == [each] * calls


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(4, 4)

    def forward(self, waveform):
        x = waveform.view(1, 1, -1, 4)  # one head, 10 positions of 4 numbers
        return nn.functional.scaled_dot_product_attention(x, x, x)


def test_operations_by_hand(tiny_file):
    module = nn.Sequential(nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 5, kernel_size=10, stride=2, bias=False), nn.ReLU())
    # (100 - 10) / 2 + 1 = 46 frames of 5 channels, each 10 multiplications and additions
    assert operations_of_module(module, num_samples=100) == 46 * 5 * 10 * 2
    assert operations_of_module(Attention(), num_samples=40) == 2 * (2 * 10 * 10 * 4)  # two products
    assert operations_of_file(tiny_file, num_samples=1600) == 2 * 1 * 1 * 2  # [1, 1] times [1, 2]
