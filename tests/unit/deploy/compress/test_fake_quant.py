"""Training with rounded numbers."""

import copy

import numpy as np
import torch

from akd_toolkit.deploy.compress.fake_quant import RoundedInput, RoundedWeight, fake_quantised
from akd_toolkit.registry import STUDENTS


def test_weights_are_rounded_as_a_naive_loop_rounds_them():
    weight = torch.randn(3, 4, 5)
    rounded = RoundedWeight()(weight)
    for row, found in zip(weight.numpy(), rounded.numpy()):
        step = np.abs(row).max() / 127
        np.testing.assert_allclose(found, np.round(row / step) * step, atol=1e-6)


def test_ranges_follow_the_batches_and_stay_in_evaluation():
    rounded = RoundedInput()
    rounded(torch.tensor([-1.0, 3.0]))
    assert (float(rounded.low), float(rounded.high)) == (-1.0, 3.0)  # the first batch sets it
    rounded(torch.tensor([1.0, 23.0]))  # all above 0: the range still holds it
    torch.testing.assert_close((rounded.low, rounded.high), (torch.tensor(-0.95), torch.tensor(4.0)))
    rounded.eval()
    found = rounded(torch.tensor([-9.0, 0.0, 9.0]))
    step = 4.95 / 255
    assert float(found[1]) == 0.0 and abs(float(found[0]) + 0.95) <= step and abs(float(found[2]) - 4.0) <= step
    assert float(rounded.high) == 4.0


def test_gradients_pass_and_the_student_is_itself_afterwards():
    student = STUDENTS.example("micro_cnn", num_classes=3)
    names = list(student.state_dict())
    waveform = torch.randn(2, 8000)
    with fake_quantised(student.train()) as rounded:
        rounded(waveform).logits.sum().backward()
        assert all(parameter.grad is not None for parameter in student.parameters())
        exact = copy.deepcopy(student.stem[0].conv.parametrizations.weight.original)
        assert not torch.equal(student.stem[0].conv.weight, exact)
        assert not hasattr(student.classifier, "parametrizations")  # stays in 32 bits in the file
    assert list(student.state_dict()) == names
    assert torch.equal(student.stem[0].conv.weight, exact)
    assert not student.fuse._forward_pre_hooks
