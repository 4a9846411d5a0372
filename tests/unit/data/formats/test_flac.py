"""FLAC is as long as its last frame says."""

import numpy as np
import pytest


def with_length(data, length):
    """The header promises another number of samples; 0 is unknown."""
    fields = int.from_bytes(data[18:26], "big") & ~(2**36 - 1) | length
    return data[:18] + fields.to_bytes(8, "big") + data[26:]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("length", [1700, 4096 * 5, 4096 * 140 + 1])
def test_an_unknown_length_is_found(encoded, samples, read, length, subtype, channels):
    data = encoded("FLAC", samples(length, channels), subtype=subtype)
    found = read(with_length(data, 0))
    assert len(found) == length
    np.testing.assert_array_equal(found, read(data))


@pytest.mark.parametrize("share", [0.01, 0.6, 0.999])
@pytest.mark.parametrize("promise", [True, False])
def test_a_cut_file_is_refused(encoded, read, promise, share):
    data = encoded("FLAC") if promise else with_length(encoded("FLAC"), 0)
    with pytest.raises(ValueError, match="the sound (is truncated|cannot be read)"):
        read(data[: int(share * len(data))])


@pytest.mark.parametrize("length", [1, 4096, 19999, 20001, 2**36 - 1])
def test_a_wrong_promise_is_refused(encoded, read, length):
    with pytest.raises(ValueError, match="truncated or damaged"):
        read(with_length(encoded("FLAC"), length))


def test_wrong_bits_and_two_files_in_one_are_refused_and_tags_change_nothing(encoded, samples, read):
    for at in (0.2, 0.5, 0.95):
        data = bytearray(encoded("FLAC"))
        data[int(at * len(data))] ^= 4
        with pytest.raises(ValueError, match="cannot be read as audio"):
            read(bytes(data))
    data = b"ID3\4\0\0\0\0\1\0" + bytes(128) + encoded("FLAC") + b"TAG".ljust(128, b"\1")
    np.testing.assert_array_equal(read(data), samples() / np.float32(32768))
    with pytest.raises(ValueError, match="several FLAC files"):
        read(encoded("FLAC") * 2)
