"""What the preparers of all corpora refuse alike."""

import pytest
from programs import RECIPES, imported


@pytest.mark.parametrize("corpus", ["EmoDB", "RAVDESS", "CREMA-D", "IEMOCAP"])
def test_missing_and_empty_folders_are_named(corpus, tmp_path):
    with imported(RECIPES / corpus / "prepare.py") as module:
        prepare = getattr(module, f"prepare_{corpus.lower().replace('-', '_')}")
        with pytest.raises(FileNotFoundError, match="data_folder .*nowhere"):
            prepare(tmp_path / "nowhere", tmp_path / "save", expect_official=False)
        with pytest.raises(ValueError, match="no sound file"):
            prepare(tmp_path, tmp_path / "save", expect_official=False)
