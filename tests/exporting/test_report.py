"""The report's numbers, worked out by hand, and its words, which must be true."""

import gzip
import io
import math
import tarfile

import pytest

from kerastickets.exporting.report import bytes_limit, gzip_size, kib, size_of, summary

KIB = 1024
SMALLER = (10 * KIB, 40 * KIB, 9 * KIB, 36 * KIB)
GZIPPED = (40 * KIB, 40 * KIB, 9 * KIB, 36 * KIB)
NOTHING = (40 * KIB, 40 * KIB, 36 * KIB, 36 * KIB)
LARGER = (50 * KIB, 40 * KIB, 38 * KIB, 36 * KIB)
MASKED = {"dense": 1000, "theoretical": 100, "executed": 1000}
COMPACTED = MASKED | {"executed": 250}
SPREAD = {"rounds": 200, "cpu": 0.9, "ratio_p10": 3.0, "ratio_p50": 4.0, "ratio_p90": 5.0}


def said(sizes, counts=MASKED, compaction=None, times=None, pruned=True, measured=None):
    names = ("bytes", "bytes_dense", "bytes_gzip")
    latency = {name: {"1": {"p50": 9.0}, "64": {"p50": p50}} for name, p50 in (times or {}).items()}
    if "compacted" in latency:
        latency["compacted"]["64"] |= SPREAD | (measured or {})
    return summary(
        dict(zip(names, sizes[:3], strict=True)),
        dense_gzip=sizes[3],
        pruned=pruned,
        multiply_adds=counts,
        compaction=compaction,
        latency_ms=latency,
    )


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        (SMALLER, "The export takes 10.0 KiB, 4.0 times less than dense (40.0 KiB)."),
        ((39 * KIB, *SMALLER[1:]), "The export takes 39.0 KiB, 2% less than dense (40.0 KiB)."),
        (
            GZIPPED,
            "The export takes 40.0 KiB, as much as dense: it stores zeros like other numbers. Only gzip makes it "
            "smaller, 9.0 KiB against 36.0 KiB of dense.",
        ),
        (NOTHING, "The export takes 40.0 KiB, as much as dense: nothing became smaller."),
        (LARGER, "The export takes 50.0 KiB, more than dense (40.0 KiB): nothing became smaller."),
    ],
)
def test_what_became_smaller(sizes, sentence):
    masked = " Sparsity made nothing faster: the masked model multiplies by its zeros; try --compact."
    assert said(sizes) == sentence + masked


@pytest.mark.parametrize(
    ("counts", "compaction", "times", "sentence"),
    [
        (
            MASKED,
            None,
            {"dense": 2.0, "masked": 1.0},  # by chance
            "Sparsity made nothing faster: the masked model multiplies by its zeros; try --compact.",
        ),
        (
            COMPACTED,
            {},
            {"dense": 2.0, "masked": 2.0, "compacted": 0.5},
            "Compacted, it does 250 of 1,000 multiply-adds and is 4.0 times faster than dense "
            "(0.5 against 2 ms for 64 examples in TensorFlow; ratio 3 to 5 in 8 of 10 rounds).",
        ),
        (
            COMPACTED,
            {},
            {},
            "Compacted, it does 250 of 1,000 multiply-adds; how long they take was not measured.",
        ),
        (
            MASKED,
            {},
            {"dense": 2.0, "masked": 2.0, "compacted": 1.0},
            "Sparsity made nothing faster: compaction found nothing that could be left out.",
        ),
        (
            MASKED,
            {"refused": "why"},
            {"dense": 2.0, "masked": 2.0},
            "Sparsity made nothing faster: the masked model multiplies by its zeros, and this one cannot be compacted.",
        ),
    ],
)
def test_what_became_faster(counts, compaction, times, sentence):
    size = "The export takes 10.0 KiB, 4.0 times less than dense (40.0 KiB). "
    assert said(SMALLER, counts, compaction, times) == size + sentence


@pytest.mark.parametrize(
    ("measured", "sentence"),
    [
        (
            (0.8, 2.0, 9.0),
            ". In time there is no difference to dense beyond noise (TOOK; ratio 0.8 to 9 in ROUNDS).",
        ),
        (
            (1.0, 1.2, 1.4),
            ". In time there is no difference to dense beyond noise (TOOK; ratio 1 to 1.4 in ROUNDS).",
        ),
        (
            (1.01, 1.05, 1.1),
            ". In time it differs from dense by less than a tenth (TOOK; ratio 1.01 to 1.1 in ROUNDS).",
        ),
        ((1.1, 1.2, 1.4), " and is 1.2 times faster than dense (TOOK; ratio 1.1 to 1.4 in ROUNDS)."),
        ((0.4, 0.5, 0.6), ", but is 2.0 times slower than dense (TOOK; ratio 0.4 to 0.6 in ROUNDS)."),
    ],
)
def test_a_difference_in_time_counts_if_the_whole_spread_is_on_one_side(measured, sentence):
    times = {"dense": 2.0, "masked": 2.0, "compacted": 1.5}
    ratios = dict(zip(("ratio_p10", "ratio_p50", "ratio_p90"), measured, strict=True))
    took = "1.5 against 2 ms for 64 examples in TensorFlow"
    expected = sentence.replace("TOOK", took).replace("ROUNDS", "8 of 10 rounds")
    assert said(SMALLER, COMPACTED, {}, times, measured=ratios).endswith(
        "250 of 1,000 multiply-adds" + expected
    )


@pytest.mark.parametrize(
    ("measured", "sentence"),
    [
        (
            {"cpu": 0.01},
            "other programs had the processor for 99% of the measurement. Measure again on an idle machine.",
        ),
        ({"rounds": 5}, "5 rounds are too few to compare."),
    ],
)
def test_times_far_from_usual_say_nothing(measured, sentence):
    times = {"dense": 168.0, "masked": 168.0, "compacted": 91.0}
    expected = f"multiply-adds; how long they take is not known: {sentence}"
    assert said(SMALLER, COMPACTED, {}, times, measured=measured).endswith(expected)


def test_a_dense_ticket_is_not_told_to_compact():
    assert said(NOTHING, pruned=False).endswith("Nothing is pruned, so nothing became faster.")


@pytest.mark.parametrize(
    ("kept", "total", "expected"),
    [(400, 800, 1700), (800, 800, 3200), (0, 800, 0), (0, 0, 0), (100, 400, 400 + 41)],
)
def test_bytes_limit_by_hand(kept, total, expected):
    # At a density of 1/4 the entropy is 2 - 3/4 * log2(3) = 0.8113 bits; of 400 weights 40.56 bytes.
    assert bytes_limit(kept, total) == expected


def test_the_limit_is_near_the_number_of_choices():
    choices = math.log2(math.comb(10_000, 1000)) / 8
    assert choices < bytes_limit(1000, 10_000) - 4000 < 1.01 * choices


def test_sizes_of_files_and_folders(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b").write_bytes(bytes(1000))
    (tmp_path / "a").write_bytes(b"12345")
    assert (size_of(tmp_path), size_of(tmp_path / "a")) == (1005, 5)


def test_gzip_sizes_are_those_of_a_real_archive_and_know_no_time(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    for name, content in (("b", bytes(100_000)), ("a", bytes(range(256)) * 40)):
        (folder / name).write_bytes(content)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in ("a", "b"):
            member = tarfile.TarInfo(f"export/{name}")
            member.size = (folder / name).stat().st_size
            tar.addfile(member, (folder / name).open("rb"))
    assert gzip_size(folder) == pytest.approx(len(gzip.compress(archive.getvalue(), 9, mtime=0)), abs=40)
    before = gzip_size(folder)
    (folder / "a").touch()
    assert gzip_size(folder.rename(tmp_path / "other")) == before


def test_kib():
    assert [kib(n) for n in (100, 102_399, 102_400, 2**30)] == [
        "0.1 KiB",
        "100.0 KiB",
        "100 KiB",
        "1,048,576 KiB",
    ]
