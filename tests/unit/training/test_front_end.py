"""Augmentations inside a student's front end: in training alone, once, and without a trace."""

import copy

import pytest
import torch
from torch import nn

import akd_toolkit.models  # noqa: F401  (registers)
from akd_toolkit.data.augment import FeatureAugmentation
from akd_toolkit.data.augment.log_mel import SpecAugment
from akd_toolkit.models.base import Student
from akd_toolkit.outputs import ModelOutput
from akd_toolkit.registry import STUDENTS
from akd_toolkit.training.front_end import changed_front_end, check_front_end


class Counting(FeatureAugmentation):
    """Adds 1 to what it sees and remembers it."""

    def __init__(self):
        super().__init__(p=1.0)
        self.seen = []

    def change(self, features, num_frames):
        self.seen.append((features.shape, num_frames.tolist()))
        return features + 1, num_frames


@pytest.mark.parametrize("name", STUDENTS.names())
@pytest.mark.parametrize("autocast", [False, True])
def test_every_student_is_changed_once_a_call_in_training_alone(name, autocast):
    student = STUDENTS.example(name, num_classes=3)
    state = {key: tensor.clone() for key, tensor in student.state_dict().items()}
    modules = [*student.named_modules()]
    speech = 0.1 * torch.randn(3, 8000)
    clean = student.eval()(speech).logits
    counting = Counting()
    with changed_front_end(student, [counting]):
        assert torch.equal(student(speech).logits, clean) and not counting.seen  # evaluation
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            student.train()(speech, torch.tensor([1.0, 0.5, 1.0]))
        ((shape, num_frames),) = counting.seen
        assert len(shape) == 3 and shape[0] == 3 and num_frames[1] < num_frames[0] == shape[1]
    student.train()(speech)
    assert len(counting.seen) == 1 and [*student.named_modules()] == modules
    assert not any(getattr(module, "changes", ()) for _, module in modules)
    assert state.keys() == student.state_dict().keys()


def test_augmentation_ends_after_an_interruption_and_never_reaches_a_copy():
    student = STUDENTS.example("micro_cnn", num_classes=3)
    average = copy.deepcopy(student)
    with pytest.raises(KeyboardInterrupt), changed_front_end(student, [Counting()]):
        assert average.front_end.changes == ()
        raise KeyboardInterrupt
    assert student.front_end.changes == ()


def test_masks_reach_the_student_and_leave_its_padding_silent():
    student = STUDENTS.example("micro_cnn", num_classes=3)
    front_end = student.front_end.train()
    front_end.normalize = "none"
    speech, lengths = 0.1 * torch.randn(4, 16000), torch.tensor([1.0, 0.5, 1.0, 1.0])
    clean, num_frames = front_end(speech, lengths)
    with changed_front_end(student, [SpecAugment(time_masks=1, band_masks=1, time_share=0.5, band_share=0.5)]):
        masked, same_frames = front_end(speech, lengths)
    assert torch.equal(num_frames, same_frames) and masked.shape == clean.shape
    assert (masked[1, num_frames[1] :] == 0).all()
    changed = (masked != clean) & (clean != 0)
    assert 0 < changed.float().mean() < 1
    means = clean.sum(dim=(1, 2)) / (num_frames * clean.shape[2])
    torch.testing.assert_close(masked[changed], means[:, None, None].expand_as(masked)[changed])


def test_a_student_without_log_mels_is_refused():
    class Raw(Student):
        def __init__(self):
            super().__init__(2)
            self.linear = nn.Linear(1, 2)

        def forward(self, waveform, lengths=None):
            return ModelOutput(self.linear(waveform.abs().mean(dim=1, keepdim=True)))

    check_front_end(Raw(), [])
    with pytest.raises(ValueError, match=r"augment: SpecAugment changes log-mels, and the student Raw has no LogMel"):
        check_front_end(Raw(), [SpecAugment()])
