"""Pruning: what is kept, what goes, and that the narrower student is a student as any other."""

import pytest
import torch

from akd_toolkit.deploy.compress.couplings import COUPLINGS
from akd_toolkit.deploy.compress.importance import by_norm
from akd_toolkit.deploy.compress.narrowing import groups_of, narrow_options, narrowed, unit_scores
from akd_toolkit.deploy.compress.prune import Prune
from akd_toolkit.registry import STUDENTS

SPECS = {
    "micro_cnn": {"name": "micro_cnn", "channels": [8, 16], "dim": 16, "dilations": [1, 2], "embedding_dim": 16},
    "hybrid_transformer": {"name": "hybrid_transformer", "dim": 32, "channels": [8, 16], "heads": 2, "halvings": 1},
}
NAMES = sorted(SPECS)


def lively(name, attributes=0):
    """A student whose norms have seen something, so that no tensor is a constant."""
    student = STUDENTS.build(**SPECS[name], num_classes=3)
    if attributes:
        student.add_attributes(attributes)
    student.train()
    for _ in range(3):
        student(torch.randn(4, 8000))
    for parameter in student.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return student.eval()


def silence(student, group, units):
    """Set every number of these units to 0; running statistics too."""
    state = student.state_dict()
    for part in group.parts:
        places = part.places[units].flatten()
        state[part.tensor].index_fill_(part.axis, places, 1.0 if part.tensor.endswith("running_var") else 0.0)


def test_every_student_that_can_be_pruned_is_tested_here():
    assert set(NAMES) == set(COUPLINGS.names())


@pytest.mark.parametrize("name", NAMES)
def test_a_share_of_zero_changes_no_answer(name):
    student = lively(name)
    smaller, spec = narrowed(student, SPECS[name], 0.0, by_norm(student))
    waveform = torch.randn(2, 9000)
    assert spec == SPECS[name]
    assert torch.equal(smaller(waveform).logits, student(waveform).logits)


@pytest.mark.parametrize("name", NAMES)
def test_units_of_zeros_go_first_and_the_answer_stays(name):
    student = lively(name)
    waveform = torch.randn(2, 9000)
    for group in groups_of(student, name):
        silence(student, group, torch.arange(1, group.units, 2))  # every other
    before = student(waveform).logits
    smaller, _ = narrowed(student, SPECS[name], 0.5, by_norm(student), multiple=4)
    assert smaller.num_parameters() < student.num_parameters()
    torch.testing.assert_close(smaller(waveform).logits, before, atol=1e-5, rtol=1e-5)


def test_the_narrower_student_equals_one_cut_by_hand():
    """The stem's second stage, whose channels the fused layer reads with all of their bands."""
    student = lively("micro_cnn")
    smaller, spec = narrowed(student, SPECS["micro_cnn"], {"channels.1": 0.5}, by_norm(student), multiple=8)
    assert spec == {**SPECS["micro_cnn"], "channels": [8, 8]}
    bands = student.fuse.in_features // 16
    sizes = torch.zeros(16)
    fuse = student.fuse.weight.detach().reshape(16, 16, bands)  # [dim, channels, bands]
    norm = student.stem[1].norm
    for values in (student.stem[1].conv.weight, norm.weight, norm.bias, fuse.transpose(0, 1)):
        square = values.detach().reshape(16, -1).square().sum(dim=1)
        sizes += square / square.sum()
    kept = sizes.topk(8).indices.sort().values
    assert torch.equal(smaller.stem[1].conv.weight, student.stem[1].conv.weight[kept])
    assert torch.equal(smaller.stem[1].norm.running_mean, norm.running_mean[kept])
    assert torch.equal(smaller.fuse.weight, fuse[:, kept].flatten(1))
    assert torch.equal(smaller.stem[0].conv.weight, student.stem[0].conv.weight)


def test_heads_for_attributes_are_cut_with_the_embedding():
    student = lively("micro_cnn", attributes=2)
    smaller, spec = narrowed(student, SPECS["micro_cnn"], {"embedding_dim": 0.5}, by_norm(student))
    assert spec["embedding_dim"] == 8 and smaller.regressor.linear.in_features == 8
    assert smaller(torch.randn(1, 8000)).attributes.shape == (1, 2)


def test_every_number_of_a_group_has_one_place():
    """Naive count: a group's units times its places make up the whole axis, each place once."""
    for name in NAMES:
        student = lively(name)
        state = student.state_dict()
        for group in groups_of(student, name):
            for part in group.parts:
                size = state[part.tensor].shape[part.axis]
                assert sorted(part.places.flatten().tolist()) == list(range(size)), (name, group.option, part.tensor)


def test_feed_forward_layers_choose_their_own_units():
    student = lively("hybrid_transformer")
    smaller, spec = narrowed(student, SPECS["hybrid_transformer"], {"mlp_ratio": 0.5}, by_norm(student))
    assert spec["mlp_ratio"] == 1.0 and smaller.bottleneck[0].feed_forward[0].out_features == 32
    assert smaller.frequency[0].feed_forward[0].out_features == 8  # half of the ratio, of 16 channels


def test_widths_are_rounded_to_multiples_and_never_grow():
    groups = groups_of(lively("micro_cnn"), "micro_cnn")
    options = narrow_options(SPECS["micro_cnn"], groups, {"channels": 0.1, "dim": 0.9}, multiple=8)
    assert options == {**SPECS["micro_cnn"], "channels": [8, 16], "dim": 8}
    assert SPECS["micro_cnn"]["dim"] == 16  # left as it was


def test_defaults_of_the_student_are_pruned_too():
    student = STUDENTS.build("micro_cnn", num_classes=7)
    options = narrow_options({"name": "micro_cnn"}, groups_of(student, "micro_cnn"), 0.25, multiple=8)
    assert options == {"name": "micro_cnn", "channels": [16, 24, 32], "dim": 96, "embedding_dim": 96}


def test_a_tensor_of_zeros_does_not_decide():
    group = groups_of(lively("micro_cnn"), "micro_cnn")[0]
    scores = {part.tensor: torch.zeros(8, 16, 5, 5) for part in group.parts if part.tensor.endswith("conv.weight")}
    assert torch.equal(unit_scores(group, scores), torch.zeros(8))


def test_what_cannot_be_pruned_is_refused():
    with pytest.raises(ValueError, match="'tim_net' cannot be pruned: .* hybrid_transformer, micro_cnn"):
        Prune(share=0.5).check({"name": "tim_net"})
    with pytest.raises(ValueError, match="share names 'width', and the widths of 'micro_cnn' are channels, channels.0"):
        Prune(share={"width": 0.5}).check(SPECS["micro_cnn"])
    with pytest.raises(ValueError, match="importance must be one of norm, taylor, got 'size'"):
        Prune(importance="size")
    with pytest.raises(ValueError, match="multiple must be a whole number from 1, got 0"):
        Prune(multiple=0)
