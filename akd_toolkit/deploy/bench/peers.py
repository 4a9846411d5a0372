"""What a student is compared with, always in the same run."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from akd_toolkit.deploy.bench.operations import operations_of_module
from akd_toolkit.deploy.bench.options import PEERS
from akd_toolkit.deploy.bench.rows import Row
from akd_toolkit.deploy.bench.sources import open_source, student_rows
from akd_toolkit.deploy.bench.ways import WAYS

RANDOM = "random weights: the same operations as the trained ones, no download"


def peer_rows(name: str, threads: list[int], work: Path, voices: np.ndarray) -> list[Row]:
    """Rows of a peer, one for each number of threads that it can use.

    Raises
    ------
    ValueError
        If there is no such peer.
    """
    if name == "opensmile":
        return [_opensmile()]
    if name == "wav2vec2":
        return _wav2vec2(threads, voices.shape[1])
    if name == "light_sernet":
        return _light_sernet(threads, work, voices)
    raise ValueError(f"unknown peer '{name}'; known: {', '.join(PEERS)}, or none.")


def _opensmile() -> Row:
    missing = (
        "" if find_spec("opensmile") else "the package opensmile is not installed: pip install 'akd-toolkit[opensmile]'"
    )
    note = "functionals alone, no classifier; one thread whatever is given, no batches"
    place = ("opensmile_functionals", "eGeMAPSv02")
    return Row("openSMILE eGeMAPS", "openSMILE", 1, *place, parameters=0, reason=missing, note=note)


def _wav2vec2(threads: list[int], num_samples: int) -> list[Row]:
    import torch
    import transformers

    with torch.device("meta"):  # shapes alone: nothing is computed and nothing takes memory
        model = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config()).to("meta").eval()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    told = {
        "parameters": parameters,
        "gflops": operations_of_module(model, num_samples) / 1e9,
        "megabytes": 4 * parameters / 1e6,
        "note": f"encoder alone, no classifier; {RANDOM}; MB of float32 weights",
    }
    title, config = "wav2vec 2.0 base, frozen", "Wav2Vec2Config"
    rows = [Row(title, "PyTorch", count, "wav2vec2", config, **told) for count in threads]
    if not WAYS["cuda"].missing():
        rows.append(Row(title, WAYS["cuda"].title, 1, "wav2vec2_cuda", config, on_gpu=True, **told))
    return rows


def _light_sernet(threads: list[int], work: Path, voices: np.ndarray) -> list[Row]:
    model = open_source("light_sernet", work, {"fp32"}, voices)
    return student_rows(model, ["onnx"], threads)
