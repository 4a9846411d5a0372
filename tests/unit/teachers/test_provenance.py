"""On which corpora models were trained."""

import pytest

from akd_toolkit.teachers.provenance import names_corpus, provenance_of


def known(source, **options):
    return provenance_of({"name": "transformers_encoder", "source": str(source)}, **options)


@pytest.mark.parametrize(
    ("name", "card", "config", "corpora", "complete"),
    [
        ("hubert-large-ll60k", "", "", ("Libri-Light",), True),  # the name of a folder
        ("whisper-base-encoder", "", "", None, True),
        ("mine", "", '{"_name_or_path": "facebook/wav2vec2-large"}', ("LibriSpeech",), False),
        ("mine", "---\ndatasets: [me/crema_d]\nbase_model: facebook/wav2vec2-base\n---\n", "", ..., False),
        ("mine", "---\ndatasets: crema_d\n---\n", "{", ("crema_d",), False),
        ("wav2vec2-base", "---\ndatasets: [ravdess]\n---\n", "", ("ravdess",), False),  # tuned further
        ("mine", "---\n: [\n---\n", "", None, True),
        ("mine", "Trained on nothing that it names.", "", None, True),
    ],
)
def test_a_local_folder_is_known_by_its_name_its_card_and_its_config(name, card, config, corpora, complete, tmp_path):
    folder = tmp_path / "models" / name
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(card)
    (folder / "config.json").write_text(config)
    found = known(f"models/{name}", near=tmp_path / "results" / "akd")
    assert found.corpora == (("me/crema_d", "LibriSpeech") if corpora is ... else corpora)
    assert found.complete == complete and found == known(folder)


@pytest.mark.parametrize(
    ("source", "corpora", "complete"),
    [
        ("superb/wav2vec2-base-superb-er", ["IEMOCAP"], True),
        ("audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim", ["MSP-Podcast"], True),
        ("ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition", ["RAVDESS"], False),
        ("facebook/wav2vec2-large", ["LibriSpeech"], True),
        ("microsoft/wavlm-large", ["VoxPopuli"], True),
        ("emotion2vec/emotion2vec_plus_large", ["EmoDB", "iemocap", "RAVDESS", "crema_d", "CREMAD"], False),
    ],
)
def test_known_models_name_their_corpora_in_any_spelling(source, corpora, complete):
    found = known(source)
    assert all(names_corpus(found.corpora, name) for name in corpora) and found.complete == complete
    assert not names_corpus(found.corpora, "My Calls")


def test_nothing_is_claimed_of_others_and_formulas_have_learned_nothing():
    for source in ("openai/whisper-large-v3", "facebook/wav2vec2-base-10k-voxpopuli", "someone/unknown"):
        assert known(source).corpora is None
    assert provenance_of({"name": "logmel_statistics"}).corpora == ()
