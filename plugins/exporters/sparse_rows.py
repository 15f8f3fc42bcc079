"""LiteRT's sparse weights row by row, where its converter takes blocks of four and so stores more zeros than weights.

The converter takes blocks whenever nine tenths as many of them are empty as single weights are. Of a weight that is
sparser than 96.5 % that is always so, even at random; each block that is not empty then stores four values for one.
"""

from typing import Any

import numpy as np

_INDEX = {1: "uint8", 2: "uint16"}


def by_rows(content: bytes) -> bytes:
    """A LiteRT file whose blockwise sparse matrices are stored weight by weight where that takes fewer bytes.

    LiteRT unpacks such a matrix once, when it loads the file, as it does those that its converter stores so.

    Args:
        content: the file.

    Returns:
        The file, `content` itself where nothing becomes smaller.
    """
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    changed = [
        _store(schema, model, graph, number)
        for graph in model.subgraphs
        for number in range(len(graph.tensors))
    ]
    if not any(changed):
        return content
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _store(schema: Any, model: Any, graph: Any, number: int) -> bool:
    """Store one matrix by rows, if it is in blocks and becomes smaller; whether it did."""
    tensor = graph.tensors[number]
    sparsity, buffer = tensor.sparsity, model.buffers[tensor.buffer]
    blocks = sparsity is not None and list(sparsity.blockMap if sparsity.blockMap is not None else ()) == [1]
    if not blocks or tensor.type != schema.TensorType.FLOAT32 or len(tensor.shape) != 2:
        return False
    values = np.frombuffer(np.asarray(buffer.data, np.uint8).tobytes(), "<f4")
    rows, columns, _ = sparsity.dimMetadata
    dense = _dense(
        values, rows.denseSize, tensor.shape[1], *(np.asarray(_vector(columns, n)) for n in _PARTS)
    )
    above, left = np.nonzero(dense)
    segments = np.concatenate([[0], np.cumsum(np.bincount(above, minlength=len(dense)))])
    if 4 * len(left) + _bytes(left) + _bytes(segments) >= values.nbytes + sum(
        _bytes(np.asarray(_vector(columns, n))) for n in _PARTS
    ):
        return False
    buffer.data = np.frombuffer(dense[above, left].astype("<f4").tobytes(), np.uint8)
    columns.arraySegments, columns.arraySegmentsType = _packed(schema, segments)
    columns.arrayIndices, columns.arrayIndicesType = _packed(schema, left)
    sparsity.dimMetadata, sparsity.blockMap, sparsity.traversalOrder = [rows, columns], [], [0, 1]
    _unpack_first(schema, model, graph, number)
    return True


_PARTS = ("arraySegments", "arrayIndices")


def _vector(columns: Any, name: str) -> Any:
    return getattr(columns, name).values


def _dense(
    values: np.ndarray, rows: int, width: int, segments: np.ndarray, indices: np.ndarray
) -> np.ndarray:
    """The matrix that blocks of one row and four columns stand for."""
    blocks = values.reshape(len(indices), -1)
    # The last block of a row may reach beyond it.
    dense = np.zeros((rows, -(-width // blocks.shape[1]), blocks.shape[1]), "float32")
    dense[np.repeat(np.arange(rows), np.diff(segments)), indices] = blocks
    return dense.reshape(rows, -1)[:, :width]


def _bytes(numbers: np.ndarray) -> int:
    """What whole numbers take in a LiteRT file: a byte each, or two, or four, as the largest needs."""
    most = int(numbers.max(initial=0))
    return int(numbers.size) * (1 if most < 1 << 8 else 2 if most < 1 << 16 else 4)


def _packed(schema: Any, numbers: np.ndarray) -> tuple[Any, int]:
    """Whole numbers as a vector of the file, and what kind it is."""
    size = _bytes(numbers) // max(1, numbers.size)
    kind = {1: "Uint8Vector", 2: "Uint16Vector"}.get(size, "Int32Vector")
    vector = getattr(schema, f"{kind}T")()
    vector.values = numbers.astype(_INDEX.get(size, "int32"))
    return vector, getattr(schema.SparseIndexVector, kind)


def _unpack_first(schema: Any, model: Any, graph: Any, number: int) -> None:
    """Let what takes a tensor take it unpacked: the operation for that comes before all others."""
    tensor, operation = graph.tensors[number], schema.BuiltinOperator.DENSIFY
    unpacked = schema.TensorT()
    unpacked.shape, unpacked.type, unpacked.buffer = (
        tensor.shape,
        tensor.type,
        0,
    )  # buffer 0 is empty in every file
    unpacked.name = tensor.name + b"/unpacked"
    graph.tensors.append(unpacked)
    place = len(graph.tensors) - 1
    for operator in graph.operators:
        operator.inputs = np.where(np.asarray(operator.inputs) == number, place, operator.inputs)
    codes = [code.builtinCode for code in model.operatorCodes]
    if operation not in codes:
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = operation, operation, 1
        model.operatorCodes.append(code)
        codes.append(operation)
    unpack = schema.OperatorT()
    unpack.opcodeIndex, unpack.inputs, unpack.outputs = codes.index(operation), [number], [place]
    unpack.builtinOptionsType, unpack.builtinOptions = (
        schema.BuiltinOptions.DensifyOptions,
        schema.DensifyOptionsT(),
    )
    graph.operators.insert(0, unpack)
