"""Workers of a DataLoader: the same batches as without, plain errors, and none left behind."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial

import numpy as np
import pytest
import torch
from corpora import write_corpus
from programs import LIMIT_S
from torch.utils.data import DataLoader

from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.augment import Mixup, build_augmentations, change_batch
from akd_toolkit.data.dataset import OUTPUTS, Speech, WindowDataset, provides, takes
from akd_toolkit.data.draws import TrainSampler, loader_options
from akd_toolkit.mistakes import sentence_for
from akd_toolkit.outputs import TeacherOutput

AUGMENT = [{"name": "speed_change", "p": 0.5}, {"name": "added_noise", "p": 0.5}, {"name": "chunk_drop", "p": 0.5}]


def teachers(name, view, span):
    frames = torch.ones(1, 1 + int(name[1:]), 2)
    return TeacherOutput(torch.tensor([[[float(name[1:]), view]]]), frames=(frames,), lengths=torch.ones(1))


@takes("utterance")
@provides("sex")
def sex(utterance):
    return utterance.sex


def refused(batch, key):
    raise ValueError(f"utterance {batch.ids[0]} is refused;\n  leave it out.")


def bug(batch, key):
    return int(batch.ids[0])


@pytest.fixture
def sources(tmp_path):
    random = np.random.default_rng(0)
    waves = [0.1 * random.standard_normal(3200 + 400 * index) for index in range(10)]
    speech = [(f"u{index}", "s", "sad", wave, {"sex": "f"}) for index, wave in enumerate(waves)]
    manifest = write_corpus(tmp_path, speech, ("sad",), "toy")
    audio = AudioStore(manifest, tmp_path / "store", progress=False)
    audio.prepare(2)
    labelled = Speech(manifest, audio.waveform, lambda *key: teachers(*key), views=1)  # pickle refuses a lambda
    return [labelled, Speech(manifest, audio.waveform, teachers, labelled=False)]


def loader(sources, num_workers, *items, change=None):
    dataset = WindowDataset(sources)
    for item in items:
        dataset.add_dynamic_item(item)
    dataset.set_output_keys([*OUTPUTS, *(item.provides[0] for item in items)])
    sampler = TrainSampler(sources, 0.2, 4, seed=5)
    return DataLoader(dataset, **loader_options(sampler, change, num_workers))


def test_batches_and_torchs_own_numbers_are_the_same_with_workers_and_without(sources):
    change = partial(change_batch, augmentations=build_augmentations(AUGMENT), mixup=Mixup())
    epochs, numbers = [], []
    for num_workers in (0, 2):
        torch.manual_seed(1)
        batches = loader(sources, num_workers, sex, change=change)
        epochs.append([])
        for epoch in (1, 2):
            batches.batch_sampler.set_epoch(epoch)
            epochs[-1] += list(batches)
        numbers.append(torch.rand(1))
    assert numbers[0] == numbers[1] and len(epochs[0]) == 6
    for one, other in zip(*epochs, strict=True):
        assert (one.ids, one.share) == (other.ids, other.share)
        assert one.extras.sex == other.extras.sex == ["f"] * len(one.ids)
        for name in ("waveforms", "lengths", "labels", "partner"):
            assert torch.equal(getattr(one, name), getattr(other, name))
        assert torch.equal(one.teacher.logits, other.teacher.logits)
        assert torch.equal(one.teacher.frames[0], other.teacher.frames[0])


def test_a_user_error_in_a_worker_is_one_sentence_and_a_bug_has_its_traceback(sources):
    for change, sentence in ((refused, r"utterance u\d is refused;\n  leave it out\."), (bug, "")):
        with pytest.raises(ValueError, match="Traceback") as caught:
            list(loader(sources, 1, change=change))
        assert re.fullmatch(sentence, sentence_for(caught.value))


def test_a_dead_worker_is_one_sentence(sources):
    batches = iter(loader(sources, 1))
    os.kill(batches._workers[0].pid, signal.SIGKILL)
    with pytest.raises(RuntimeError) as caught:
        for _ in range(9):
            next(batches)
    assert "num_workers" in sentence_for(caught.value)


SCRIPT = """
    import sys, time
    import numpy as np
    from torch.utils.data import DataLoader
    from akd_toolkit.data.dataset import Speech, WindowDataset
    from akd_toolkit.data.draws import TrainSampler, loader_options
    from akd_toolkit.data.manifest import Manifest, Utterance

    if __name__ == "__main__":
        rows = [Utterance(f"u{i}", "/u", 0, 3200, 0.2, "s", "sad") for i in range(4)]
        speech = Speech(Manifest("toy", ("sad",), tuple(rows)), lambda name, view: np.ones(3200, np.float32))
        sampler = TrainSampler([speech], 0.2, 1, 1)
        loader = DataLoader(WindowDataset([speech]), **loader_options(sampler, num_workers=2))
        batches = iter(loader)
        next(batches)
        print(*(worker.pid for worker in batches._workers), flush=True)
        time.sleep(120)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_a_training_that_is_stopped(sign, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        # A suite that runs in the background is started with SIGINT ignored, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        workers = [int(word) for word in process.stdout.readline().split()]
        assert len(workers) == 2
        process.send_signal(sign)
        process.wait(LIMIT_S)
        end = time.monotonic() + 15
        while any(os.path.exists(f"/proc/{worker}") for worker in workers) and time.monotonic() < end:
            time.sleep(0.1)
        assert not [worker for worker in workers if os.path.exists(f"/proc/{worker}")]
