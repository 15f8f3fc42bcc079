"""Examples on disk: the rows that an array in memory would give, and no way to make an array of the whole."""

import errno
import tempfile

import numpy as np
import pytest

from kerastickets.data.arrays import moments, standardise
from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.data.image_shape import adapted
from kerastickets.data.joined import join_data
from kerastickets.data.own_arrays import data_from
from kerastickets.data.parts import of_classes, tenths, train_part
from kerastickets.data.spec import data_digest
from kerastickets.data.streamed_array import StreamedArray, is_streamed, to_stream
from kerastickets.errors import DataError
from kerastickets.foundations import memory
from kerastickets.foundations.tree import generator

PIXELS = generator("streamed").integers(0, 256, (40, 3, 2, 3)).astype(np.uint8)
LABELS = np.arange(40) % 4
SCALING = np.array([100.0, 50.0, 3.0]), np.array([20.0, 7.0, 1.5])


def data(x=PIXELS, scaling=SCALING, **fields):
    streamed = StreamedArray.written([x[:15], x[15:]], x.dtype, "The toy images")
    both = []
    for whole in (x, streamed):
        found = whole if scaling is None else standardise(whole, *scaling)
        rows = getattr(found, "part", found.__getitem__)
        splits = [(rows(part), LABELS[part]) for part in (slice(8, 40), slice(0, 8), slice(0, 8))]
        both.append(Data("toy", *splits, CROSS_ENTROPY, classes=4, scaling=scaling, **fields))
    return both


@pytest.mark.parametrize("index", [3, -1, slice(2, 9), slice(None, None, -2), [4, 0, 4], LABELS == 2])
def test_rows_are_those_of_an_array_in_memory(index):
    whole = standardise(PIXELS, *SCALING)
    streamed = standardise(StreamedArray.written([PIXELS], np.uint8, "Images"), *SCALING)
    assert streamed.shape == whole.shape
    assert (len(streamed), streamed.ndim, streamed.size, streamed.nbytes) == (40, 4, 720, 2880)
    np.testing.assert_array_equal(streamed[index], whole[index], strict=True)
    order = generator("order").permutation(40)
    np.testing.assert_array_equal(streamed.part(order)[index], whole[order][index], strict=True)
    if not isinstance(index, int):
        np.testing.assert_array_equal(streamed.part(order).part(index)[:], whole[order][index], strict=True)


def test_the_whole_is_never_an_array():
    streamed = StreamedArray(PIXELS)
    for attempt in (np.asarray, lambda x: np.concatenate([x, x]), lambda x: np.add(x, 1)):
        with pytest.raises(DataError, match=r"must be used in parts here. Received: all 40 of them"):
            attempt(streamed)
    with pytest.raises(DataError, match="standardised once"):
        standardise(standardise(streamed, 0, 1), 0, 1)
    with pytest.raises(DataError, match="deviations above 0"):
        standardise(streamed, 0.0, np.array([1.0, 0.0]))


def test_moments_are_those_of_the_array(monkeypatch):
    streamed = StreamedArray.written([PIXELS], np.uint8, "Images")
    for axis in (None, 0, (0, 1, 2)):
        for mine, array in zip(moments(streamed, axis), moments(PIXELS, axis), strict=True):
            np.testing.assert_array_equal(mine, array, strict=True)
    monkeypatch.setattr("kerastickets.data.streamed_array._VALUES", 18 * 7)
    assert streamed.block == 7
    for mine, array in zip(moments(streamed, (0, 1, 2)), moments(PIXELS, (0, 1, 2)), strict=True):
        np.testing.assert_array_equal(np.float32(mine), np.float32(array))


def test_a_data_set_on_disk_has_the_digest_of_one_in_memory():
    whole, streamed = data(labels=tuple("abcd"))
    assert (whole.streamed, streamed.streamed) == (False, True)
    assert repr(streamed) == repr(whole)
    assert data_digest(streamed) == data_digest(whole)
    for change in (lambda d: of_classes(d, "db"), lambda d: train_part(d, 8, 1)):
        assert change(streamed).streamed
        assert data_digest(change(streamed)) == data_digest(change(whole))
    for mine, array in zip(*(tenths(d.train[0], d.train[1], 2, "x") for d in (streamed, whole)), strict=True):
        assert is_streamed(mine)
        np.testing.assert_array_equal(mine[0][:], array[0])
        np.testing.assert_array_equal(mine[1], array[1])


def test_images_on_disk_are_adapted_on_disk():
    whole, streamed = (adapted(d, (5, 4, 1), "resize+gray") for d in data())
    assert streamed.streamed
    assert data_digest(streamed) == data_digest(whole)


def test_data_on_disk_are_not_joined():
    with pytest.raises(DataError, match=r"Data sets to join must fit into memory. Received: 'toy', which is"):
        join_data([data()[1], data()[0]])


def test_what_is_not_finite_is_counted():
    x = PIXELS.astype("float32")
    x[20, 0, 0, :2] = np.nan, np.inf
    for scaling in (None, (3.0, 0.5)):
        with pytest.raises(DataError, match=r"^Inputs must be finite. Received: 2 NaN or infinite values"):
            StreamedArray(x, scaling).check_finite("Inputs")
    StreamedArray(x[:20]).check_finite("Inputs")
    # What float32 cannot hold: 255 / 7e-37 is 3.6e38. Only values that occur count.
    StreamedArray(np.minimum(PIXELS, 230), (0.0, 7e-37)).check_finite("Inputs")
    large = np.count_nonzero(PIXELS > 238)
    with pytest.raises(DataError, match=rf"Received: {large} NaN or infinite"):
        StreamedArray(PIXELS, (0.0, 7e-37)).check_finite("Inputs")


def test_a_memmap_that_does_not_fit_into_memory_is_streamed(tmp_path, monkeypatch):
    splits = {}
    for kind, dtype in {"float": np.float64, "token": np.int64}.items():
        x = PIXELS.astype(dtype) + (2**30 if kind == "token" else 0.5)
        np.save(tmp_path / f"{kind}.npy", x)
        splits[kind] = np.load(tmp_path / f"{kind}.npy", mmap_mode="r")
    found = {}
    for free in (10**9, 8 * 720 - 1):
        monkeypatch.setattr(memory, "free_memory", lambda free=free: free)
        found[free] = [data_from((x, LABELS)) for x in splits.values()]
        assert [d.streamed for d in found[free]] == [free < 10**9] * 2
        assert [d.train[0].dtype for d in found[free]] == ["float32", "int64"]
    digests = [[data_digest(d) for d in both] for both in found.values()]
    assert digests[0] == digests[1]


def test_where_examples_stay(monkeypatch):
    what = ("The images", 5000, (10,), 1)
    monkeypatch.setattr(memory, "free_memory", lambda: 8 * 50_000)  # float32 twice
    assert [to_stream(stream, *what) for stream in ("auto", "yes")] == [False, True]
    monkeypatch.setattr(memory, "free_memory", lambda: 50_000 * (1 + 5) + 1000000)
    assert not to_stream("no", *what)
    monkeypatch.setattr(memory, "free_memory", lambda: 8 * 50_000 - 1)
    assert to_stream("auto", *what)
    monkeypatch.setattr(memory, "free_memory", lambda: 100)
    assert to_stream("auto", *what)
    with pytest.raises(DataError, match="The images must fit into the memory of this machine"):
        to_stream("no", *what)
    monkeypatch.setattr(memory, "free_memory", lambda: 89)  # not even one example
    with pytest.raises(DataError, match="The images must fit into the memory of this machine"):
        to_stream("yes", *what)


def test_a_disk_that_is_too_small_is_one_sentence(monkeypatch):
    with pytest.raises(DataError, match=r"or on the disk of .* are free. Received: 888.2 PiB. Set TMPDIR to"):
        to_stream("auto", "The images", 10**15, (1000,), 1)

    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def write(self, content):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **options: Full())
    with pytest.raises(
        DataError, match=r"The images must fit on the disk for temporary files. Received: No space"
    ):
        StreamedArray.written([PIXELS], np.uint8, "The images")


def test_files_are_gone_with_the_array(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    streamed = StreamedArray.written([PIXELS], np.uint8, "The images")
    assert [*tmp_path.iterdir()] == []
    np.testing.assert_array_equal(streamed[5:7], PIXELS[5:7])
    with pytest.raises(ValueError, match="shapes"):
        StreamedArray.written([PIXELS, PIXELS[:, 1:]], np.uint8, "The images")
