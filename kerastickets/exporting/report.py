"""Report on an export: its size compared with a dense export, and whether anything became faster."""

import gzip
import io
import math
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The smallest relative difference that counts: in bytes, and in measured time.
_SMALLER, _FASTER = 0.01, 0.1
#: The fewest rounds that show a spread, and the smallest share of the processor with which times mean anything.
_ROUNDS, _SHARE = 6, 0.2


@dataclass(frozen=True)
class Exported:
    """A verified export and its report.

    Args:
        path: the file or folder.
        format: the exporter's name.
        bytes: size of the export; for a folder, of all its files.
        bytes_dense: size of the same model without any zero weight, exported in the same way.
        bytes_gzip: size of the export as a tar archive compressed with gzip at level 9.
        bytes_limit: lower bound for storing the kept weights as float32 with their positions; see
            `bytes_limit`.
        max_abs_difference: largest absolute difference between the outputs of the model and of the export.
        accuracy_before: accuracy of the model on the verification examples; None if the data has no right
            answers.
        accuracy_after: accuracy of the export on the same examples.
        latency_ms: milliseconds by model, batch size and percentile, and how their ratios to the dense model's vary,
            see `kerastickets.exporting.latency`; measured in TensorFlow, not in the export's runtime. Empty if it
            was not measured.
        summary: a few sentences on what became smaller and what became faster.
        multiply_adds: number per example: `dense`, `theoretical` (counting only kept weights) and `executed`.
        peak_bytes: peak memory of reading and running the export.
        runtime: the runtime that ran the export.
        details: the facts that the exporter returned.
        compaction: what compaction did, or `{"refused": why}`; None if it was not requested.
        examples: number of examples that the export was verified on.
        standardised: the `mean` and `std` of the data in raw units, per channel or one number each. The
            export expects `(raw - mean) / std` as its input. None if the export takes raw inputs, or if the
            data set does not state its scaling.
    """

    path: Path
    format: str
    bytes: int
    bytes_dense: int
    bytes_gzip: int
    bytes_limit: int
    max_abs_difference: float
    accuracy_before: float | None
    accuracy_after: float | None
    latency_ms: Mapping[str, Mapping[str, Mapping[str, float]]]
    summary: str
    multiply_adds: Mapping[str, int]
    peak_bytes: int
    runtime: str
    details: Mapping[str, Any]
    compaction: Mapping[str, Any] | None
    examples: int
    standardised: Mapping[str, Any] | None = None

    def facts(self) -> dict[str, Any]:
        """The report as a dict, which `kt export --json` prints."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"path": str(self.path)}


def size_of(path: Path) -> int:
    """The size in bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in _files(path))


def gzip_size(path: Path) -> int:
    """The size in bytes of a file or folder as a `.tar.gz` at level 9.

    The result depends only on file names and contents.

    Example:
        >>> import tempfile
        >>> zeros = Path(tempfile.mkdtemp(), "zeros")
        >>> _ = zeros.write_bytes(bytes(100_000))
        >>> gzip_size(zeros) < 1000
        True
    """
    counted = _Counted()
    with (
        gzip.GzipFile("", "wb", 9, counted, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for file in _files(path):
            member = tarfile.TarInfo(f"export/{file.relative_to(path)}" if file != path else "export")
            member.size = file.stat().st_size
            with file.open("rb") as content:
                archive.addfile(member, content)
    return counted.size


class _Counted(io.RawIOBase):
    """A file that counts the bytes written to it and discards them."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        count = memoryview(data).nbytes
        self.size += count
        return count


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def bytes_limit(kept: int, total: int) -> int:
    """The fewest bytes that can store a sparse network: the kept weights as float32, plus their positions.

    There are "`total` choose `kept`" ways to place the kept weights. Naming one of them takes `total` times
    the binary entropy of the density, in bits, up to a vanishing fraction. Good formats come close to this
    bound. Quantised or clustered formats can go below it. So can a compacted model, because compaction drops
    kept weights that had no use. The bound leaves out biases and other weights without a mask.

    Args:
        kept: number of kept weights.
        total: number of weights that have a mask.

    Example:
        >>> bytes_limit(400, 800)  # 400 * 4, and one bit for each of 800
        1700

    Reference:
        T. Cover, J. Thomas, Elements of Information Theory, section 11.1 (the size of a type class).
    """
    density = kept / total if total else 0.0
    entropy = -sum(p * math.log2(p) for p in (density, 1 - density) if p)
    return kept * 4 + math.ceil(total * entropy / 8)


def summary(
    sizes: Mapping[str, int],
    *,
    dense_gzip: int,
    pruned: bool,
    multiply_adds: Mapping[str, int],
    compaction: Mapping[str, Any] | None,
    latency_ms: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> str:
    """Say in a few true sentences what became smaller and what became faster.

    Args:
        sizes: `bytes`, `bytes_dense` and `bytes_gzip`, as in `Exported`.
        dense_gzip: bytes of the dense export, gzipped.
        pruned: whether the ticket prunes any weight.
        multiply_adds: `dense` and `executed`.
        compaction: as in `Exported`.
        latency_ms: as in `Exported`.

    Example:
        >>> sizes = {"bytes": 1024, "bytes_dense": 4096, "bytes_gzip": 512}
        >>> counts = {"dense": 9, "theoretical": 3, "executed": 9}
        >>> summary(sizes, dense_gzip=4096, pruned=True, multiply_adds=counts, compaction=None, latency_ms={})
        'The export takes 1.0 KiB, 4.0 times less than dense (4.0 KiB). Sparsity made nothing faster: ...'
    """
    return " ".join(
        (_size_sentence(sizes, dense_gzip), _speed_sentence(pruned, multiply_adds, compaction, latency_ms))
    )


def _size_sentence(sizes: Mapping[str, int], dense_gzip: int) -> str:
    size, dense, packed = (sizes[name] for name in ("bytes", "bytes_dense", "bytes_gzip"))
    if size < dense * (1 - _SMALLER):
        return f"The export takes {kib(size)}, {_times(dense / size)} less than dense ({kib(dense)})."
    more = size > dense * (1 + _SMALLER)
    compared = f"{kib(size)}, more than dense ({kib(dense)})" if more else f"{kib(size)}, as much as dense"
    if packed < dense_gzip * (1 - _SMALLER):
        return (
            f"The export takes {compared}: it stores zeros like other numbers. Only gzip makes it smaller, "
            f"{kib(packed)} against {kib(dense_gzip)} of dense."
        )
    return f"The export takes {compared}: nothing became smaller."


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio >= 1.1 else f"{1 - 1 / ratio:.0%}"


def _speed_sentence(
    pruned: bool,
    counts: Mapping[str, int],
    compaction: Mapping[str, Any] | None,
    times: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> str:
    if not pruned:
        return "Nothing is pruned, so nothing became faster."
    if compaction is None:
        return "Sparsity made nothing faster: the masked model multiplies by its zeros; try --compact."
    if "refused" in compaction:
        return (
            "Sparsity made nothing faster: the masked model multiplies by its zeros, and this one cannot be "
            "compacted."
        )
    if counts["executed"] >= counts["dense"]:
        return "Sparsity made nothing faster: compaction found nothing that could be left out."
    share = f"{counts['executed']:,} of {counts['dense']:,} multiply-adds"
    if "compacted" not in times:
        return f"Compacted, it does {share}; how long they take was not measured."
    return f"Compacted, it does {share}{_compared(times)}"


def _compared(times: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """The end of the sentence on multiply-adds: how fast the compacted model is compared with the dense one."""
    dense, compacted = (times[name]["64"] for name in ("dense", "compacted"))
    low, ratio, high = (compacted[f"ratio_p{n}"] for n in (10, 50, 90))
    if compacted.get("cpu", 1.0) < _SHARE:
        return (
            "; how long they take is not known: other programs had the processor for "
            f"{1 - compacted['cpu']:.0%} of the measurement. Measure again on an idle machine."
        )
    if compacted["rounds"] < _ROUNDS:
        return f"; how long they take is not known: {compacted['rounds']:.0f} rounds are too few to compare."
    spread = f"ratio {low:.3g} to {high:.3g} in 8 of 10 rounds"
    took = f"{compacted['p50']:.3g} against {dense['p50']:.3g} ms for 64 examples in TensorFlow; {spread}"
    if low <= 1 <= high:
        return f". In time there is no difference to dense beyond noise ({took})."
    if 1 - _FASTER < 1 / ratio < 1 + _FASTER:
        return f". In time it differs from dense by less than a tenth ({took})."
    if low > 1:
        return f" and is {_times(ratio)} faster than dense ({took})."
    return f", but is {_times(1 / ratio)} slower than dense ({took})."


def kib(size: float) -> str:
    """A number of bytes as text in KiB, with one decimal below 100 KiB.

    Example:
        >>> kib(1024), kib(1_064_960)
        ('1.0 KiB', '1,040 KiB')
    """
    return f"{size / 1024:.1f} KiB" if size < 102_400 else f"{size / 1024:,.0f} KiB"
