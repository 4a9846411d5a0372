import io
import json

import numpy as np
import pytest

from akd_toolkit.deploy.bench import worker
from akd_toolkit.deploy.bench.worker import LOADERS, serve


def test_a_failure_is_a_reply_of_one_line_and_the_worker_goes_on(tmp_path, monkeypatch):
    def load(path, threads):
        if path == "gone":
            raise FileNotFoundError("no such file\nsecond line")
        return lambda waveforms: 1 / max(0, 3 - len(waveforms))  # no more than two at once

    monkeypatch.setitem(LOADERS, "noting", load)
    np.save(tmp_path / "signals.npy", np.zeros((4, 160), dtype=np.float32))
    job = {"signals": str(tmp_path / "signals.npy"), "threads": 3, "on_gpu": False}
    job |= {"whole": ["noting", "model"], "features": ["noting", "gone"]}
    requests, out = [["whole", 4, 0], ["features", 1, 0], ["whole", 1, 0]], io.StringIO()
    serve(iter([json.dumps(line) for line in [job, *requests]]), out)
    large, gone, timed = (json.loads(line) for line in out.getvalue().splitlines())
    assert large == {"error": "ZeroDivisionError: division by zero"}
    assert gone == {"error": "FileNotFoundError: no such file"}
    assert len(timed["seconds"]) == 2 and timed["memory_bytes"] >= 0


def test_wav2vec2_returns_a_frame_every_20_ms(monkeypatch):
    import torch
    import transformers

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    sizes |= {"num_conv_pos_embedding_groups": 2, "num_conv_pos_embeddings": 4}
    config = transformers.Wav2Vec2Config(**sizes, conv_dim=[8] * 7)
    monkeypatch.setattr(transformers, "SmallConfig", lambda: config, raising=False)
    monkeypatch.setattr(worker, "_torch_with", lambda threads: torch)
    assert LOADERS["wav2vec2"]("SmallConfig", 1)(np.zeros((2, 16000), np.float32)).shape == (2, 49, 8)


def test_opensmile_computes_every_window():
    pytest.importorskip("opensmile")
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 8000)).astype(np.float32)
    tables = LOADERS["opensmile"]("eGeMAPSv02", 1)(noise)
    assert [table.shape for table in tables] == [(1, 88), (1, 88)]
