"""Averaged weights are those of the end of a training, with statistics of their own."""

import pytest
import torch
from torch import nn

from akd_toolkit.data.batches import Batch
from akd_toolkit.training.averaging import WeightAverage, bounded_decay, moving_average


def test_the_average_of_a_short_training_forgets_the_initial_weights():
    student = nn.Linear(1, 1, bias=False)
    average = WeightAverage(student, 0.99)  # which alone would keep 13 % of the first weights
    average.set_length(200)
    for step in range(200):
        nn.init.constant_(student.weight, 100.0 if step == 0 else 1.0)
        average.update_parameters(student)
    assert average.module.weight.item() == pytest.approx(1.0, abs=1e-5)


def test_a_horizon_too_long_for_the_training_is_shortened_and_logged(caplog):
    assert bounded_decay(0.99, 2000) == 0.99 and not caplog.records
    assert bounded_decay(0.999, 2000) == pytest.approx(0.99) and "weight_average" in caplog.text


def test_moving_average_equals_its_definition_step_by_step():
    values, average = [3.0, 5.0, -2.0, 8.0], 1.0
    expected = average
    for count, value in enumerate(values, start=1):
        d = min(0.3, (1 + count) / (10 + count))
        expected = d * expected + (1 - d) * value
        average = moving_average(torch.tensor(average), torch.tensor(value), count, 0.3).item()
    assert average == pytest.approx(expected)
    assert moving_average(torch.tensor(3), torch.tensor(7), 5, 0.9) == 7


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2)

    def forward(self, waveforms, lengths):
        return self.norm(waveforms)


def test_norms_get_the_mean_statistics_of_the_batches_whatever_they_held_before():
    average = WeightAverage(Normed().eval(), 0.9)
    norm = average.module.norm
    norm.running_mean.fill_(50.0)
    batches = [Batch([], torch.randn(8, 2) + shift, torch.ones(8), torch.zeros(8)) for shift in (0.0, 4.0)]
    average.estimate_norms(batches, "cpu")
    means = torch.stack([batch.waveforms.mean(0) for batch in batches])
    variances = torch.stack([batch.waveforms.var(0) for batch in batches])
    torch.testing.assert_close(norm.running_mean, means.mean(0))
    torch.testing.assert_close(norm.running_var, variances.mean(0))
    assert not average.module.training and norm.momentum == 0.1
