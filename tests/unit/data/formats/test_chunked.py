"""WAV and its relatives: read whole if the header has a placeholder, refused if something is missing."""

import struct

import numpy as np
import pytest

PLACEHOLDERS = [0, 2**31 - 1, 2**32 - 1, 2**31 - 37, 0x7FFFF000, 2**32 - 101]
CHUNKS = {"WAV": "<4sI", "RF64": "<4sI", "W64": "<4s12xQ", "AIFF": ">4sI", "CAF": ">4sQ"}  # header of a chunk


def with_number(data, at, number, form="<I"):
    return data[:at] + struct.pack(form, number) + data[at + struct.calcsize(form) :]


def same(found, pcm):
    np.testing.assert_array_equal(found, pcm / np.float32(32768))


@pytest.mark.parametrize("riff", [0, 2**32 - 1])
@pytest.mark.parametrize("length", PLACEHOLDERS)
def test_a_wav_from_a_pipe_is_read_to_its_end(encoded, samples, read, length, riff):
    data = with_number(with_number(encoded("WAV"), 40, length), 4, riff)
    same(read(data), samples())
    same(read(data[:36] + b"LIST\5\0\0\0abcde\0" + data[36:]), samples())


@pytest.mark.parametrize("kind", [*CHUNKS, "AU", "NIST"])
def test_a_cut_file_and_a_header_that_promises_less_than_is_there_are_refused(encoded, samples, read, kind):
    data = encoded(kind)
    for share in (0.3, 0.999):
        with pytest.raises(ValueError, match="the sound is truncated"):
            read(data[: int(share * len(data))])
    with pytest.raises(ValueError, match=r"damaged: 8\d\d\d bytes follow the 400\d\d"):
        read(data + samples(4000).tobytes())


@pytest.mark.parametrize("kind", CHUNKS)
def test_what_follows_the_samples_is_not_sound(encoded, samples, read, kind):
    note = struct.pack(CHUNKS[kind], b"note", 4000 + (24 if kind == "W64" else 0)) + bytes(4000)
    same(read(encoded(kind) + note), samples())
    same(read(encoded(kind) + b"TAG".ljust(128, b"\1")), samples())


@pytest.mark.parametrize(
    "kind, at, form, lengths",
    [
        ("AIFF", lambda data: data.rindex(b"SSND") + 4, ">I", [0, 0x7F000008, 2**31 - 1, 2**32 - 1]),
        ("CAF", lambda data: data.rindex(b"data") + 4, ">Q", [0, 2**63 - 1, 2**64 - 1]),
        ("AU", lambda data: 8, ">I", [0, 2**31 - 1, 2**32 - 1]),
        ("RF64", lambda data: 28, "<Q", [0, 2**63 - 1, 2**64 - 1]),
        ("W64", lambda data: data.index(b"data") + 16, "<Q", [0, 2**63 - 1, 2**64 - 1]),
    ],
)
def test_others_from_a_pipe_are_read_to_their_end(encoded, samples, read, kind, at, form, lengths):
    data = encoded(kind)
    for length in lengths:
        whole = {"RF64": 20, "W64": 16}.get(kind)
        piped = data if whole is None else with_number(data, whole, length, form)
        same(read(with_number(piped, at(data), length, form)), samples())


def test_big_endian_wav_is_read_and_other_faults_of_a_file_are_refused(encoded, samples, read):
    same(read(encoded("WAV", endian="BIG")), samples())
    shortened = encoded("NIST").replace(b"sample_coding -s3 pcm", b"sample_coding -s26 pcm,embedded-shorten-v2.00")
    ulaw = encoded("NIST", subtype="ULAW")
    assert len(read(ulaw)) == len(samples())
    for data, token in (
        (encoded("WAV") * 2, "damaged"),
        (encoded("WAV")[:36], "'data' is missing"),
        (ulaw[:-1000], "truncated"),
        (shortened[:9000], "ffmpeg -i"),
    ):
        with pytest.raises(ValueError, match=token):
            read(data)
