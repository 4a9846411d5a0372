"""The head of a student with a pretrained encoder, fitted before the first epoch."""

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from akd_toolkit.data.batches import Batch
from akd_toolkit.data.files import written_aside
from akd_toolkit.distill.objective import Objective
from akd_toolkit.models.base import Student
from akd_toolkit.outputs import UNLABELLED, ModelOutput, ObjectiveResult, TeacherOutput

SPEECH_TO_REDUCE = 240  # utterances


@torch.no_grad()
def fit_head(
    student: Student,
    objective: Objective,
    batches: DataLoader,
    decay: float,
    store_folder: str | Path,
    unlabelled_ratio: float = 1.0,
    device: str = "cpu",
) -> tuple[ObjectiveResult, TeacherOutput | None, Tensor]:
    """Fit the head of a student on the outputs of its pretrained encoder.

    First an encoder of low rank is fitted to its source, then the weighting, then the head on the objective's blended
    targets, over all views of all utterances.

    Source: Kumar et al. 2022, "Fine-tuning can distort pretrained features" (linear probing first).

    Arguments
    ---------
    batches
        Batches of whole utterances.
    decay
        L2 penalty of the head's weights, >= 0.
    store_folder
        Where the encoder's outputs are stored for other folds and seeds.
    unlabelled_ratio
        Weight of all unlabelled utterances together, before the gate, relative to the labelled ones, > 0.

    Returns
    -------
    The objective's result with the fitted head, the teachers' outputs and the labels, all on the CPU.
    """
    student.eval()
    if student.to_fit is not None:
        reduce_encoder(student, batches, store_folder, device)
    store = EncoderStore(store_folder, student)
    seen = [(store.outputs(student, batch, device), batch.teacher, batch.labels) for batch in batches]
    store.write()
    embedding, peaks = (torch.cat(parts) for parts in zip(*(output for output, _, _ in seen)))
    labels = torch.cat([labels for _, _, labels in seen])
    teacher = None if seen[0][1] is None else TeacherOutput.stacked([teacher for _, teacher, _ in seen])
    if teacher is not None:  # what has neither label nor teacher teaches nothing
        rows = ((labels != UNLABELLED) | teacher.is_present().any(dim=0)).nonzero().flatten()
        embedding, peaks, labels, teacher = embedding[rows], peaks[rows], labels[rows], teacher.taken(rows)
    output = ModelOutput(torch.zeros(len(labels), student.num_classes), embedding, frames=peaks[:, None])
    objective.cpu().fit_weighting(output, teacher, labels, decay)
    targets, weights, temperature = objective.blended_targets(output, teacher, labels)
    labelled = labels != UNLABELLED
    weights[~labelled] *= unlabelled_ratio * labelled.sum() / (~labelled).sum().clamp(min=1)
    fitted = (part.to(device) for part in (embedding, targets, weights, labelled))
    logits = student.fit_head(*fitted, temperature=temperature, decay=decay).cpu()
    result = objective(replace(output, logits=logits), teacher, labels)
    objective.to(device)
    return result, teacher, labels


def reduce_encoder(student: Student, batches: DataLoader, store: str | Path, device: str = "cpu") -> None:
    """Fit an encoder of low rank to its source on ``SPEECH_TO_REDUCE`` utterances of the training speakers, evenly.

    The fitted weights are stored for other runs with the same source, ranks and utterances.
    """
    draws = [draw for batch in batches.batch_sampler for draw in batch]
    rows = [row for row, draw in enumerate(draws) if draw.source == 0]
    spread = np.linspace(0, len(rows) - 1, min(SPEECH_TO_REDUCE, len(rows))).round().astype(int)
    wanted, row, waveforms = {rows[place] for place in spread}, 0, []
    for batch in batches:
        for waveform, length in zip(batch.waveforms, batch.lengths):
            if row in wanted:
                waveforms.append(waveform[: round(float(length) * len(waveform))].to(device))
            row += 1
    digest = hashlib.sha256(_weights_in_bytes(student.to_fit) + json.dumps(student.build_options["ranks"]).encode())
    for waveform in waveforms:
        digest.update(waveform.cpu().numpy().tobytes())
    file = Path(store) / "reduced_encoders" / f"{digest.hexdigest()[:16]}.safetensors"
    try:
        student.take_reduced(load_file(file, device=device))
    except (OSError, SafetensorError):  # missing or damaged
        student.reduce(waveforms)
        with written_aside(file) as aside:
            save_file(student.encoder.state_dict(), aside)


def _weights_in_bytes(module: nn.Module, without: tuple[str, ...] = ()) -> bytes:
    state = {name: tensor for name, tensor in module.state_dict().items() if not name.startswith(without)}
    return b"".join(name.encode() + tensor.cpu().contiguous().numpy().tobytes() for name, tensor in state.items())


class EncoderStore:
    """Embedding [D] and maximum over time [C] of whole utterances by a pretrained encoder, stored on disk.

    Arguments
    ---------
    folder
        The store; the file name holds a hash of the weights.
    student
        Before its head is fitted.
    """

    def __init__(self, folder: str | Path, student: Student):
        digest = hashlib.sha256(_weights_in_bytes(student, without=("classifier",)))  # these differ between seeds
        self.file = Path(folder) / "encoder_outputs" / f"{digest.hexdigest()[:16]}.npz"
        self.rows = self._read()

    def outputs(self, student: Student, batch: Batch, device: str) -> tuple[Tensor, Tensor]:
        """Embeddings [batch, D] and maxima [batch, C], on the CPU; computed without padding."""
        counts = (batch.lengths * batch.waveforms.shape[1]).round().long().tolist()
        keys = []
        for wave, count in zip(batch.waveforms, counts):
            keys.append(hashlib.sha256(wave[:count].numpy().tobytes()).hexdigest())
            if keys[-1] not in self.rows:
                inputs, frames = student.head_inputs(wave[None, :count].to(device), torch.ones(1, device=device))
                self.rows[keys[-1]] = (inputs[0].cpu().numpy(), frames[0].amax(dim=0).cpu().numpy())
        embeddings, peaks = zip(*(self.rows[key] for key in keys))
        return torch.from_numpy(np.stack(embeddings)), torch.from_numpy(np.stack(peaks))

    def write(self) -> None:
        """Add the new outputs to the file."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.file.with_suffix(".lock")):
            before = self._read()
            if len(rows := before | self.rows) == len(before):
                return
            embeddings, peaks = zip(*rows.values())
            with written_aside(self.file) as aside, open(aside, "wb") as file:
                np.savez(file, keys=list(rows), embeddings=np.stack(embeddings), peaks=np.stack(peaks))

    def _read(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        try:
            with np.load(self.file, allow_pickle=False) as arrays:
                return dict(zip(arrays["keys"].tolist(), zip(arrays["embeddings"], arrays["peaks"])))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # missing or damaged: computed again
            return {}
