import numpy as np
import pytest

from akd_toolkit.deploy.bench import peers
from akd_toolkit.deploy.bench.loaders import LOADERS
from akd_toolkit.deploy.bench.options import PEERS
from akd_toolkit.deploy.bench.peers import peer_rows

VOICES = np.zeros((2, 16000), dtype=np.float32)


def test_wav2vec2_base_is_as_large_as_published(tmp_path):
    rows = peer_rows("wav2vec2", [1, 2], tmp_path, VOICES)
    assert [row.threads for row in rows if not row.on_gpu] == [1, 2]
    assert rows[0].parameters == pytest.approx(95e6, rel=0.01)  # Baevski et al. 2020, section 4.2
    assert rows[0].megabytes == pytest.approx(4 * rows[0].parameters / 1e6)
    # 49 frames through 12 layers of 12 x 768^2 weights, and what the seven convolutions need before them
    assert rows[0].gflops > 2 * 49 * 12 * 12 * 768**2 / 1e9
    assert "random weights" in rows[0].note


def test_wav2vec2_answers_a_frame_every_20_ms(monkeypatch):
    import transformers

    def small():
        sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
        sizes |= {"num_conv_pos_embedding_groups": 2, "num_conv_pos_embeddings": 4}
        return transformers.Wav2Vec2Config(**sizes, conv_dim=[8] * 7)

    monkeypatch.setattr(transformers, "SmallConfig", small, raising=False)
    monkeypatch.setattr("akd_toolkit.deploy.bench.loaders._set_threads", lambda threads: None)
    assert LOADERS["wav2vec2"]("SmallConfig", 1)(VOICES).shape == (2, 49, 8)


def test_opensmile_has_one_row_with_one_thread(tmp_path, monkeypatch):
    (row,) = peer_rows("opensmile", [1, 8], tmp_path, VOICES)
    assert row.threads == 1 and row.loader in LOADERS and row.place == "eGeMAPSv02"
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    assert "pip install" in peer_rows("opensmile", [1], tmp_path, VOICES)[0].reason


def test_opensmile_answers_every_window():
    pytest.importorskip("opensmile")
    answer = LOADERS["opensmile_functionals"]("eGeMAPSv02", 1)
    told = answer(np.random.default_rng(0).normal(0, 0.1, (2, 8000)).astype(np.float32))
    assert [table.shape for table in told] == [(1, 88), (1, 88)]


def test_an_unknown_peer_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unknown peer 'mamba'; known: opensmile"):
        peer_rows("mamba", [1], tmp_path, VOICES)


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_has_rows(name, tmp_path, monkeypatch):
    for made in ("_opensmile", "_wav2vec2", "_light_sernet"):
        monkeypatch.setattr(peers, made, lambda *arguments, made=made: [made])
    assert name in str(peer_rows(name, [1], tmp_path, VOICES))
