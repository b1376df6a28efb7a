import gzip
import lzma
import os
import zipfile

import numpy as np
import pytest

from lifelong.errors import BadFile
from lifelong.worlds._readers import decompress, read_bytes, read_idx, read_npz

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def idx(array):
    shape = b"".join(size.to_bytes(4, "big") for size in array.shape)
    code = bytes([0, 0, CODES[array.dtype.name], array.ndim])
    return code + shape + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_idx_round_trip(tmp_path, dtype, pack):
    array = (np.arange(24).reshape(2, 3, 4) * 5 - (0 if dtype == "uint8" else 60)).astype(dtype)
    path = tmp_path / "some-idx3"
    path.write_bytes(pack(idx(array)))
    back = read_idx(path)
    np.testing.assert_array_equal(back, array)
    assert back.dtype == np.dtype(dtype) and back.dtype.isnative


def test_idx_without_rows_is_an_empty_array(tmp_path):
    (tmp_path / "none").write_bytes(idx(np.zeros((0, 28, 28), np.uint8)))
    assert read_idx(tmp_path / "none").shape == (0, 28, 28)


@pytest.mark.parametrize("end", range(16 + 24 * 2))
def test_idx_cut_at_any_byte_is_named_with_the_byte(tmp_path, end):
    content = idx(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    path = tmp_path / "cut-idx3"
    path.write_bytes(content[:end])
    with pytest.raises(BadFile, match=rf"cut-idx3 is truncated: it ends at byte {end}\b") as error:
        read_idx(path)
    if end >= 16:
        assert f"{len(content)} bytes were expected" in str(error.value)


@pytest.mark.parametrize("end", [2, 5, 12, 40, 200, 900, -9, -4, -1])
def test_idx_whose_gzip_is_cut_is_refused_at_any_byte(tmp_path, end):
    array = np.random.default_rng(0).integers(0, 256, (10, 10, 10)).astype(np.uint8)
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(idx(array))[:end])
    with pytest.raises(BadFile, match=r"cut\.gz is (truncated: it ends at byte|not whole: .* break off at byte) \d+"):
        read_idx(path)


def test_idx_whose_gzip_is_cut_is_named_with_the_bytes_expected(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (10, 10, 10)).astype(np.uint8)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(idx(array))[:900])
    with pytest.raises(BadFile, match=r"ends at byte \d+, where 1016 bytes were expected"):
        read_idx(tmp_path / "cut.gz")


def test_idx_with_bytes_to_spare_is_refused(tmp_path):
    (tmp_path / "long").write_bytes(idx(np.zeros((2, 3), np.uint8)) + b"abc")
    with pytest.raises(BadFile, match=r"not an idx file of shape \(2, 3\): 3 more bytes follow the 18 expected"):
        read_idx(tmp_path / "long")


@pytest.mark.parametrize("magic", [b"\x89PNG", b"\0\0\x0a\1", b"\0\0\x08\0", b"\0\1\x08\1"])
def test_other_files_are_not_idx(tmp_path, magic):
    (tmp_path / "other").write_bytes(magic + bytes(100))
    with pytest.raises(BadFile, match=f"other is not an idx file: it begins with the bytes {magic.hex(' ')}"):
        read_idx(tmp_path / "other")


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_one_wrong_bit_in_compressed_data_is_noticed(tmp_path, pack):
    packed = bytearray(pack(os.urandom(1000)))
    packed[500] ^= 1
    (tmp_path / "bit").write_bytes(packed)
    with pytest.raises(BadFile, match="bit is not whole: its compressed data are corrupt"):
        read_bytes(tmp_path / "bit")


def test_compressed_streams_one_after_the_other_and_padding_are_read():
    assert decompress(gzip.compress(b"ab") + gzip.compress(b"cd") + bytes(8)) == (b"abcd", "")


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(BadFile, match="nowhere: there is no such file"):
        read_bytes(tmp_path / "nowhere")
    with pytest.raises(BadFile, match="cannot be read: Is a directory"):
        read_bytes(tmp_path)


ARRAYS = {"a": np.arange(6.0).reshape(3, 2), "b": np.array([0, 1, 1])}


@pytest.mark.parametrize("names", [("x", "y"), ("X", "y"), ("data", "target"), ("images", "labels")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_round_trip_under_usual_names(tmp_path, names, save):
    save(tmp_path / "some.npz", **dict(zip(names, ARRAYS.values(), strict=True)), more=np.zeros(1))
    for back, array in zip(read_npz(tmp_path / "some.npz"), ARRAYS.values(), strict=True):
        np.testing.assert_array_equal(back, array)


def test_npz_with_a_test_part_gives_four_arrays(tmp_path):
    parts = {"x_train": np.ones((2, 3)), "y_train": np.ones(2), "x_test": np.zeros((1, 3)), "y_test": np.zeros(1)}
    np.savez(tmp_path / "some.npz", **dict(reversed(parts.items())))
    assert [array.shape for array in read_npz(tmp_path / "some.npz")] == [(2, 3), (2,), (1, 3), (1,)]


@pytest.mark.parametrize("given", [{"x": "a", "y": "b"}, {"x": "a"}, {"y": "b"}])
def test_npz_arrays_are_named_by_the_user(tmp_path, given):
    np.savez(tmp_path / "some.npz", **ARRAYS)
    x, y = read_npz(tmp_path / "some.npz", **given)
    assert x.shape == (3, 2) and y.shape == (3,)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "not clear which arrays are x and y; arrays found: a, b, c"),
        ({"y": "b"}, "not clear which arrays are x and y; arrays found: a, b, c"),
        ({"x": "a", "y": "q"}, "has no array 'q'; arrays found: a, b, c"),
    ],
)
def test_npz_arrays_that_are_not_there(tmp_path, given, message):
    np.savez(tmp_path / "some.npz", **ARRAYS, c=np.zeros(2))
    with pytest.raises(BadFile, match=message):
        read_npz(tmp_path / "some.npz", **given)


@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.7, 0.95, 0.999])
def test_truncated_npz_is_named_with_the_byte(tmp_path, part):
    np.savez(tmp_path / "some.npz", x=np.arange(600.0).reshape(100, 6), y=np.zeros(100))
    whole = (tmp_path / "some.npz").read_bytes()
    end = int(len(whole) * part)
    (tmp_path / "cut.npz").write_bytes(whole[:end])
    with pytest.raises(BadFile, match=rf"cut\.npz is not a whole NPZ file: .* byte {end}$"):
        read_npz(tmp_path / "cut.npz")


def test_npz_never_unpickles(tmp_path):
    np.savez(tmp_path / "objects.npz", x=np.array([{"a": 1}], dtype=object), y=np.zeros(1))
    with pytest.raises(BadFile, match="array 'x' is not plain numbers or text"):
        read_npz(tmp_path / "objects.npz")
    (tmp_path / "pickle.npz").write_bytes(b"\x80\x04N.")
    with pytest.raises(BadFile, match="not a whole NPZ file"):
        read_npz(tmp_path / "pickle.npz")


def test_npz_with_a_damaged_array_is_named(tmp_path):
    path = tmp_path / "bad.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).random((50, 4)), y=np.zeros(50))
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("x.npy").header_offset
    raw = bytearray(path.read_bytes())
    raw[start + 500] ^= 255
    path.write_bytes(raw)
    with pytest.raises(BadFile, match=r"bad\.npz is corrupt: array 'x' cannot be read"):
        read_npz(path)


def test_a_single_array_is_not_an_npz(tmp_path):
    with (tmp_path / "one.npz").open("wb") as file:
        np.save(file, np.zeros((3, 2)))
    with pytest.raises(BadFile, match="holds a single array"):
        read_npz(tmp_path / "one.npz")
