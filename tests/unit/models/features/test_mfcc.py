import math

import pytest
import torch
import torchaudio

from akd_toolkit.models.features.log_mel import LogMel
from akd_toolkit.models.features.mfcc import MFCC, cosine_transform


def test_cosines_are_those_of_torchaudio():
    theirs = torchaudio.functional.create_dct(40, 128, norm="ortho")
    torch.testing.assert_close(cosine_transform(128, 40), theirs, rtol=0, atol=1e-5)


def test_coefficients_are_the_sum_of_their_formula():
    waveform = 0.1 * torch.randn(1, 2000)
    mfcc, _ = MFCC(num_mfcc=3, num_mels=5).eval()(waveform)
    features, _ = LogMel(num_mels=5).eval()(waveform)
    for i in range(3):
        scale = math.sqrt((1 if i == 0 else 2) / 5)
        expected = sum(scale * math.cos(math.pi * i * (j + 0.5) / 5) * float(features[0, 0, j]) for j in range(5))
        assert float(mfcc[0, 0, i]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("window_ms, fmin_hz, fmax_hz", [(64.0, 80.0, 7600.0), (50.0, 50.0, 8000.0)])
def test_every_triangle_of_the_published_students_covers_a_bin(window_ms, fmin_hz, fmax_hz):
    front_end = MFCC(num_mels=128, window_ms=window_ms, fmin_hz=fmin_hz, fmax_hz=fmax_hz)
    assert front_end.log_mel.mel.amax(dim=0).min() > 0.05


def test_more_coefficients_than_triangles_are_refused():
    with pytest.raises(ValueError, match="num_mfcc must be between 1 and num_mels = 20, got 21"):
        MFCC(num_mfcc=21, num_mels=20)
