from torch import nn

from akd_toolkit.deploy.bench.operations import operations_of_file, operations_of_module


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(4, 4)

    def forward(self, waveform):
        x = waveform.view(1, 1, -1, 4)  # one head, T positions of 4 numbers
        return nn.functional.scaled_dot_product_attention(x, x, x)


def test_a_convolution_by_hand():
    module = nn.Sequential(nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 5, kernel_size=10, stride=2, bias=False), nn.ReLU())
    # (100 - 10) / 2 + 1 = 46 frames of 5 channels, each 10 multiplications and additions
    assert operations_of_module(module, num_samples=100) == 46 * 5 * 10 * 2


def test_attention_counts_as_its_two_products():
    assert operations_of_module(Attending(), num_samples=40) == 2 * (2 * 10 * 10 * 4)


def test_a_file_by_hand(tiny_file):
    assert operations_of_file(tiny_file, num_samples=1600) == 2 * 1 * 1 * 2  # [1, 1] times [1, 2]
