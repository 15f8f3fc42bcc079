"""A folder of images that may come from anyone: every one is read or refused by name, at once and in bounded memory."""

import os
import struct
import threading
import zlib
from contextlib import suppress

import numpy as np
import pytest
import tensorflow as tf

from kerastickets.data.spec import data_of
from kerastickets.errors import DataError
from kerastickets.foundations import memory
from kerastickets_plugins.datasets import folder as module, image_file
from kerastickets_plugins.datasets.image_file import image_size


def chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(height=4, width=4, rows=None, bits=8, kind=0):
    """A black PNG image whose header states this size, and which has this number of rows."""
    start = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    pixels = (b"\0" + b"\0" * width) * (height if rows is None else rows)
    content = chunk(b"IHDR", start) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def jpeg(height=4, width=4, **options):
    return tf.io.encode_jpeg(np.zeros((height, width, 3), np.uint8), **options).numpy()


def gif(frames=3):
    """A GIF image of 1x1 pixels with several frames."""
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HH", 1, 1) + b"\x80\0\0" + b"\0" * 6 + frame * frames + b"\x3b"


@pytest.fixture
def pets(tmp_path):
    """A folder of two classes with 20 images each."""
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(20):
            (tmp_path / "pets" / name / f"{number:02}.png").write_bytes(png())
    return tmp_path / "pets"


@pytest.fixture
def odd(pets):
    """Where the tests put what is no good image."""
    return pets / "dog" / "odd.png"


@pytest.fixture
def no_decoding(monkeypatch):
    """Fail if an image is decoded."""
    monkeypatch.setattr(module.Folder, "_decoded", None)


def refused(spec, message):
    """What `data_of` says, which must be a `DataError`. A hang fails the test."""
    raised = []

    def load():
        try:
            data_of(spec)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "it hangs"
    assert isinstance(raised[0], DataError), raised
    text = str(raised[0])
    assert message in text
    assert len(text) < 1000
    assert text.isprintable()


# What an image claims.


@pytest.mark.parametrize("write", [png, jpeg])
@pytest.mark.parametrize(("height", "width"), [(16000, 16000), (16000, 4), (5, 4)])
def test_an_image_of_another_size_is_refused_before_it_is_decoded(
    write, height, width, pets, odd, monkeypatch
):
    content = bytearray(write())
    if write is png:
        content[16:24] = struct.pack(">II", width, height)
    else:
        frame = content.index(b"\xff\xc0")
        content[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    odd.write_bytes(content)
    decoded = []
    own = module.Folder._decoded
    monkeypatch.setattr(
        module.Folder, "_decoded", lambda self, file, *rest: decoded.append(file) or own(self, file, *rest)
    )
    refused(f"folder:{pets}", f"dog/odd.png of ({height}, {width}), {pets / 'cat' / '00.png'} of (4, 4)")
    assert odd not in decoded


def test_the_size_of_all_images_is_compared_with_the_memory_first(pets, no_decoding):
    first = bytearray((pets / "cat" / "00.png").read_bytes())
    first[16:24] = struct.pack(">II", 1_000_000, 1_000_000)
    (pets / "cat" / "00.png").write_bytes(first)
    refused(f"folder:{pets}", f"The 40 images of (1000000, 1000000) in {pets} must fit into the memory")


@pytest.mark.parametrize("size", ["999999x999999", "999999999999999999x999999999999999999"])
def test_the_size_to_scale_to_is_compared_with_the_memory_first(size, pets, no_decoding):
    refused(f"folder:{pets},size={size}", "must fit into the memory of this machine, of which")


def test_an_image_to_scale_is_compared_with_the_memory_before_it_is_decoded(pets, odd, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 10**6)
    odd.write_bytes(png(300, 300, rows=0))
    refused(f"folder:{pets},size=4x4", f"The image {odd} must fit into the memory of this machine, of which")


def test_one_image_of_a_size_is_measured_once(pets, monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "free_memory", lambda: asked.append(1) or 10**9)
    data_of(f"folder:{pets}")
    assert len(asked) == 2


# What an image holds.


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a file that begins with b''"),
        (b"no image", "a file that begins with b'no image'"),
        (b"\x1b[31m\xff\xfe\n", "a file that begins with"),
        (gif(), "a file that begins with b'GIF89a"),
        (b"BM" + b"\0" * 100, "a file that begins with b'BM"),
        (b"RIFF\0\0\0\0WEBP", "a file that begins with b'RIFF"),
        (png()[:8], "a PNG file with a damaged header"),
        (png()[:20], "a PNG file with a damaged header"),
        (png()[:8] + png()[33:], "a PNG file with a damaged header"),
        (png()[:40], "dog/odd.png must be"),
        (png(4, 4, rows=2), "dog/odd.png must be"),
        (png(0, 4), "an image of 0x4 pixels"),
        (png(4, 0), "an image of 4x0 pixels"),
        (png(bits=3), "dog/odd.png must be"),
        (png(kind=7), "dog/odd.png must be"),
        (png().replace(b"IDAT", b"IDAX"), "dog/odd.png must be"),
        (jpeg()[:2], "a JPEG file without a header"),
        (jpeg()[:40], "a JPEG file without a header"),
        (jpeg()[:-8], "dog/odd.png must be"),
        (jpeg().replace(b"\xff\xc0", b"\xff\xc3"), "dog/odd.png must be"),
        (b"\xff\xd8" + b"\xff" * 10**6, "a JPEG file without a header"),
        (b"\xff\xd8" + b"\xff\0" * 10**6, "a JPEG file without a header"),
        (b"\xff\xd8" + b"\xff\xe0\0\x02" * 10**6, "a JPEG file without a header"),
        (b"\xff\xd8" + b"\xff\xe0\0\0" * 10**6, "a JPEG file without a header"),
        (jpeg() + b"\xff\xda\0\x02" * 600, "a JPEG file with more than 500 scans"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_what_is_no_good_image_is_refused(content, message, pets, odd):
    odd.write_bytes(content)
    refused(f"folder:{pets}", message)
    refused(f"folder:{pets},size=3x3", "dog/odd.png must be a PNG or JPEG image. Received: ")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"xmp_metadata": "x" * 30_000},
        {"format": "rgb", "chroma_downsampling": False},
    ],
)
def test_the_size_of_a_jpeg_is_read(options):
    content = jpeg(5, 9, **options)
    assert image_size(content) == (5, 9)
    filled = (
        content[:2] + b"\xff\xff\xff\xfe\0\x04\xff\xc0" + content[2:]
    )  # a comment that looks like a frame
    assert image_size(filled) == (5, 9)
    assert tf.io.decode_jpeg(filled).shape == (5, 9, 3)


@pytest.mark.parametrize("write", [png, jpeg])
def test_damage_anywhere_is_named_or_harmless(write, pets, odd):
    good, random = write(), np.random.default_rng(0)
    for _ in range(60):
        content = bytearray(good[: random.integers(len(good))] if random.random() < 0.2 else good)
        for place in random.integers(0, max(1, len(content)), random.integers(1, 4)):
            content[place : place + 1] = bytes([random.integers(256)])
        odd.write_bytes(content)
        with suppress(DataError):
            assert data_of(f"folder:{pets}").input_shape == (4, 4, 3)


# Files and folders.


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("pipe", "it is a named pipe, not a regular file"),
        ("folder", "it is a folder, not a regular file"),
        ("/dev/zero", "it is a device, not a regular file"),
        ("loop", "Too many levels of symbolic links"),
        ("nowhere", "No such file or directory"),
    ],
)
def test_only_regular_files_are_opened(kind, message, pets, odd):
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "folder":
        odd.mkdir()
    else:
        odd.symlink_to("odd.png" if kind == "loop" else kind)
    refused(f"folder:{pets}", f"{odd} must be a PNG or JPEG image. Received: {message}")


def test_a_large_file_is_refused(pets, odd, monkeypatch):
    monkeypatch.setattr(image_file, "_LARGEST", 2**20)
    with odd.open("wb") as file:
        file.write(png())
        file.truncate(2**40)  # a hole, which takes no space on the disk
    refused(f"folder:{pets}", "it has more than 1,048,576 bytes")


def test_a_file_that_vanishes_meanwhile_is_named(pets, monkeypatch):
    own = module.Folder._decoded

    def decoded(self, file, *rest):
        (pets / "dog" / "19.png").unlink(missing_ok=True)
        return own(self, file, *rest)

    monkeypatch.setattr(module.Folder, "_decoded", decoded)
    refused(f"folder:{pets}", "dog/19.png must be a PNG or JPEG image. Received: No such file or directory")


def test_a_folder_that_vanishes_meanwhile_is_named(pets, monkeypatch):
    own = module._subfolders
    monkeypatch.setattr(module, "_subfolders", lambda folder: [*own(folder), folder / "gone"])
    refused(f"folder:{pets}", f"{pets / 'gone'} must be a folder that can be read. Received: No such file")


@pytest.mark.parametrize(
    "name",
    [
        "a" * 300,
        "x\0y",
        "~no-such-user/a",
        "\ud800",
        os.fsdecode(b"\xff"),
        "\x1b[31m\n",
        "/dev/zero",
        "/dev/null/x",
    ],
)
def test_names_that_no_folder_has_are_shown(name):
    refused(f"folder:{name}", "which is not a folder")


def test_folders_that_lead_to_themselves_are_no_hang(pets):
    (pets / "loop").symlink_to("loop")
    (pets / "cat" / "again").symlink_to("..")
    assert data_of(f"folder:{pets}").labels == ("cat", "dog")
    (pets / "train").symlink_to(".")
    refused(f"folder:{pets}", f"{pets / 'train' / 'train'} must contain PNG or JPEG images")


def test_names_are_shown_and_not_obeyed(pets):
    (pets / "\x1b[31m\udcff").mkdir()
    refused(f"folder:{pets}", "\\x1b[31m\\udcff' must contain PNG or JPEG images")
    (pets / "\x1b[31m\udcff" / "a\nb.png").write_bytes(b"")
    refused(f"folder:{pets}", "a\\nb.png' must be a PNG or JPEG image")
    (pets / "\x1b[31m\udcff" / "a\nb.png").write_bytes(png(5))
    refused(f"folder:{pets}", "a\\nb.png' of (5, 4)")


def test_many_classes_are_named_in_part(tmp_path):
    for part, names in (("train", map(str, range(200))), ("test", ["odd"])):
        for name in names:
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "1.png").write_bytes(png())
    refused(f"folder:{tmp_path}", "which has 0, 1, 10, 100, 101, 102, 103, 104, 105, 106, .... Received")


def test_what_may_not_be_read_is_named(pets):
    (pets / "cat" / "00.png").chmod(0)
    if os.access(pets / "cat" / "00.png", os.R_OK):
        pytest.skip("this user, such as root, may read every file")
    refused(f"folder:{pets}", "00.png must be a PNG or JPEG image. Received: Permission denied")
    (pets / "cat").chmod(0)
    refused(f"folder:{pets}", "cat must be a folder that can be read. Received: Permission denied")
