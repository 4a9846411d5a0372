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
        found.append(data[at : at + 27 + len(table) + sum(table)])
        at += len(found[-1])
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


def test_cut_files_missing_pages_and_wrong_bits_are_refused(stream, read):
    def refuse(data, token):
        with pytest.raises(ValueError, match=token):
            read(data)

    data, pages = stream(48000), pages_of(stream(96000))
    assert len(pages) > 3
    for share in (0.001, 0.5, 0.999):
        refuse(data[: int(share * len(data))], "truncated|cannot be read")
        refuse(data + data[: int(share * len(data))], "truncated|cannot be read")
    for kept in range(1, len(pages)):
        refuse(b"".join(pages[:kept]), "truncated")
    refuse(b"".join(pages[:2] + pages[3:]), "damaged: pages before")
    for at in (0.1, 0.5, 0.99):
        wrong = bytearray(data)
        wrong[int(at * len(data))] ^= 16
        refuse(bytes(wrong), "checksum|damaged|truncated")


def test_other_bytes_at_the_end_are_refused_and_a_tag_is_not(stream, encoded, read):
    data = stream(48000)
    assert len(read(data + b"TAG".ljust(128, b"\1"))) == 48000
    with pytest.raises(ValueError, match="several kinds.*44100.*48000"):
        read(data + encoded("OGG", rate=44100))
    with pytest.raises(ValueError, match="damaged: 4000 bytes"):
        read(data + bytes(4000))
