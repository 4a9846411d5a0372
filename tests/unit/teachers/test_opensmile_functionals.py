"""openSMILE functionals; everything but the missing extra needs the package."""

from importlib import metadata

import numpy as np
import pytest

from akd_toolkit.teachers.opensmile_functionals import OpenSmileFunctionals


@pytest.mark.parametrize(("feature_set", "size"), [("ComParE_2016", 6373), ("eGeMAPSv02", 88)])
def test_functionals_have_their_published_number(feature_set, size, voice):
    pytest.importorskip("opensmile", reason="needs the extra opensmile")
    features = OpenSmileFunctionals(feature_set).features(voice())
    assert features.shape == (1, size) and np.isfinite(features).all()


def test_functionals_equal_those_of_the_package(voice):
    opensmile = pytest.importorskip("opensmile", reason="needs the extra opensmile")
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    expected = smile.process_signal(voice(), 16000).to_numpy()
    np.testing.assert_array_equal(OpenSmileFunctionals("eGeMAPSv02").features(voice()), expected)


def test_missing_extra_is_named(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ImportError, match=r"pip install 'akd-toolkit\[opensmile\]'"):
        OpenSmileFunctionals()
