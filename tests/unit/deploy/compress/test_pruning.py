"""Which channels go, what stays, and rounding in training."""

import copy

import numpy as np
import pytest
import torch

from akd_toolkit.deploy.compress.methods import Prune, RoundedWeight, by_norm, fake_quantised
from akd_toolkit.deploy.compress.pruning import COUPLINGS, groups_of, narrow_options, narrowed
from akd_toolkit.registry import STUDENTS

SPECS = {
    "micro_cnn": {"name": "micro_cnn", "channels": [8, 16], "dim": 16, "dilations": [1, 2], "embedding_dim": 16},
    "pretrained_cnn": {"name": "pretrained_cnn", "channels": [8, 16], "dim": 16, "dilations": [1, 2]},
    "hybrid_transformer": {"name": "hybrid_transformer", "dim": 32, "channels": [8, 16], "heads": 2, "halvings": 1},
}
NAMES = sorted(SPECS)


def varied(name, attributes=0):
    """A student whose norms have seen batches, so that no tensor is constant."""
    student = STUDENTS.build(**SPECS[name], num_classes=3)
    if attributes:
        student.add_attributes(attributes)
    student.train()
    for _ in range(3):
        student(torch.randn(4, 8000))
    for parameter in student.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return student.eval()


def places(student, part, units):
    return part.places(student.state_dict()[part.tensor].shape[part.axis], units)


def test_every_prunable_student_is_tested_here():
    assert set(NAMES) == set(COUPLINGS.names())


@pytest.mark.parametrize("name", NAMES)
def test_a_share_of_zero_changes_no_output(name):
    student, waveform = varied(name), torch.randn(2, 9000)
    smaller, spec = narrowed(student, SPECS[name], 0.0, by_norm(student))
    assert spec == SPECS[name] and torch.equal(smaller(waveform).logits, student(waveform).logits)


@pytest.mark.parametrize("name", NAMES)
def test_units_of_zeros_go_first_and_the_output_stays(name):
    student, waveform = varied(name), torch.randn(2, 9000)
    for group in groups_of(student, name):
        for part in group.parts:  # every other unit does nothing
            value = 1.0 if part.tensor.endswith(("running_var", "scale")) else 0.0
            where = places(student, part, group.units)[1::2].flatten()
            student.state_dict()[part.tensor].index_fill_(part.axis, where, value)
    before = student(waveform).logits
    smaller, _ = narrowed(student, SPECS[name], 0.5, by_norm(student), multiple=4)
    assert smaller.num_parameters() < student.num_parameters()
    torch.testing.assert_close(smaller(waveform).logits, before, atol=1e-5, rtol=1e-5)


def test_the_narrower_student_equals_one_cut_by_hand():
    """The stem's second stage, whose channels the fused layer reads with all of their bands."""
    student = varied("micro_cnn")
    smaller, spec = narrowed(student, SPECS["micro_cnn"], {"channels.1": 0.5}, by_norm(student), multiple=8)
    assert spec == {**SPECS["micro_cnn"], "channels": [8, 8]}
    fuse = student.fuse.weight.detach().reshape(16, 16, -1)  # [dim, channels, bands]
    norm, sizes = student.stem[1].norm, torch.zeros(16)
    for values in (student.stem[1].conv.weight, norm.weight, norm.bias, fuse.transpose(0, 1)):
        square = values.detach().reshape(16, -1).square().sum(dim=1)
        sizes += square / square.sum()
    kept = sizes.topk(8).indices.sort().values
    assert torch.equal(smaller.stem[1].conv.weight, student.stem[1].conv.weight[kept])
    assert torch.equal(smaller.stem[1].norm.running_mean, norm.running_mean[kept])
    assert torch.equal(smaller.fuse.weight, fuse[:, kept].flatten(1))
    assert torch.equal(smaller.stem[0].conv.weight, student.stem[0].conv.weight)


def test_widths_are_rounded_to_multiples_never_grow_and_may_be_defaults():
    groups = groups_of(varied("micro_cnn"), "micro_cnn")
    options = narrow_options(SPECS["micro_cnn"], groups, {"channels": 0.1, "dim": 0.9}, multiple=8)
    assert options == {**SPECS["micro_cnn"], "dim": 8} and SPECS["micro_cnn"]["dim"] == 16
    groups = groups_of(STUDENTS.build("micro_cnn", num_classes=7), "micro_cnn")
    options = narrow_options({"name": "micro_cnn"}, groups, 0.25, multiple=8)
    assert options == {"name": "micro_cnn", "channels": [16, 24, 32], "dim": 96, "embedding_dim": 96}


def test_what_cannot_be_pruned_is_refused():
    with pytest.raises(ValueError, match="tim_net.*hybrid_transformer, micro_cnn"):
        Prune(share=0.5).check({"name": "tim_net"})
    with pytest.raises(ValueError, match="'width'.*channels, channels.0"):
        Prune(share={"width": 0.5}).check(SPECS["micro_cnn"])


def test_weights_are_rounded_as_a_naive_loop_rounds_them():
    weight = torch.randn(3, 4, 5)
    for row, found in zip(weight.numpy(), RoundedWeight()(weight).numpy()):
        step = np.abs(row).max() / 127
        np.testing.assert_allclose(found, np.round(row / step) * step, atol=1e-6)


def test_gradients_pass_and_the_student_has_its_structure_afterwards():
    student = STUDENTS.example("micro_cnn", num_classes=3)
    names = list(student.state_dict())
    with fake_quantised(student.train()) as rounded:
        rounded(torch.randn(2, 8000)).logits.sum().backward()
        assert all(parameter.grad is not None for parameter in student.parameters())
        exact = copy.deepcopy(student.stem[0].conv.parametrizations.weight.original)
        assert not torch.equal(student.stem[0].conv.weight, exact)
        assert not hasattr(student.classifier, "parametrizations")  # stays in 32 bits in the file
    assert list(student.state_dict()) == names and torch.equal(student.stem[0].conv.weight, exact)
    assert not student.fuse._forward_pre_hooks
