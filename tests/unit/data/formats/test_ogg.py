"""Ogg: all streams, to their last page, without a damaged one."""

import numpy as np
import pytest


@pytest.fixture(params=["VORBIS", "OPUS"])
def stream(request, encoded, samples):
    """``stream(num_samples)``: the bytes of one stream at 48 kHz."""
    return lambda length, seed=0: encoded("OGG", samples(length, seed=seed), 48000, request.param)


def pages_of(data):
    found, at = [], 0
    while at < len(data):
        table = data[at + 27 : at + 27 + data[at + 26]]
        stop = at + 27 + len(table) + sum(table)
        found.append(data[at:stop])
        at = stop
    return found


@pytest.mark.parametrize("lengths", [(48000,), (48000, 30000), (20000, 48000, 9600), (9600,) * 6])
def test_streams_that_follow_one_another_are_all_read(stream, read, lengths):
    streams = [stream(length, seed=seed) for seed, length in enumerate(lengths)]
    found = read(b"".join(streams))
    assert len(found) == sum(lengths)
    np.testing.assert_allclose(found, np.concatenate([read(one) for one in streams]), atol=1e-6)


@pytest.mark.parametrize("count", [1, 3])
def test_flac_in_ogg_is_read_whole(encoded_by_ffmpeg, samples, read, count):
    found = read(encoded_by_ffmpeg("ogg", "flac") * count)
    assert len(found) == count * len(samples())
    np.testing.assert_allclose(found, np.tile(samples() / 32768, count), atol=2 / 32768)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_a_cut_file_is_refused(stream, read, share):
    data = stream(48000)
    with pytest.raises(ValueError, match="truncated|cannot be read"):
        read(data[: int(share * len(data))])
    with pytest.raises(ValueError, match="truncated|cannot be read"):
        read(data + data[: int(share * len(data))])


def test_a_file_cut_between_two_pages_is_refused(stream, read):
    pages = pages_of(stream(96000))
    assert len(pages) > 3
    for kept in range(1, len(pages)):
        with pytest.raises(ValueError, match="truncated"):
            read(b"".join(pages[:kept]))


def test_a_missing_page_is_refused(stream, read):
    pages = pages_of(stream(96000))
    with pytest.raises(ValueError, match="damaged: pages before"):
        read(b"".join(pages[:2] + pages[3:]))


@pytest.mark.parametrize("at", [0.1, 0.5, 0.99])
def test_a_wrong_bit_is_refused(stream, read, at):
    data = bytearray(stream(48000))
    data[int(at * len(data))] ^= 16
    with pytest.raises(ValueError, match="checksum|damaged|truncated"):
        read(bytes(data))


def test_other_bytes_at_the_end_are_refused_and_a_tag_is_not(stream, encoded, read):
    data = stream(48000)
    assert len(read(data + b"TAG".ljust(128, b"\1"))) == 48000
    with pytest.raises(ValueError, match="several kinds.*44100.*48000"):
        read(data + encoded("OGG", rate=44100))
    with pytest.raises(ValueError, match="damaged: 4000 bytes"):
        read(data + bytes(4000))
