"""Store LiteRT's sparse weights row by row instead of in blocks of four, where that saves space or is needed.

LiteRT's converter uses blocks of four when the fraction of empty blocks is at least nine tenths of the
fraction of zero weights. For a weight with a sparsity above 96.5 % this is always true, even with random
masks. Each nonempty block then stores four values, often for a single nonzero weight. If the row length is
not a multiple of four, the converter even loses values; this module then takes the values from a file
converted without sparsity.
"""

from typing import Any

import numpy as np

_INDEX = {1: "uint8", 2: "uint16"}


def by_rows(content: bytes, plain: bytes) -> bytes:
    """Store the blockwise sparse matrices of a LiteRT file weight by weight, if that is smaller or blocks lose values.

    LiteRT unpacks such a matrix once, when it loads the file, just as it unpacks the converter's own sparse
    matrices.

    Args:
        content: the file, converted with sparsity.
        plain: the same model, converted without sparsity.

    Returns:
        The new file; `content` itself if no matrix changes.
    """
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    models = [schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(file, 0)) for file in (content, plain)]
    model, other = models
    changed = False
    for graph, dense in zip(model.subgraphs, other.subgraphs, strict=True):
        pairs = zip(*(_matrices(schema, *one) for one in ((model, graph), (other, dense))), strict=True)
        for number, twin in [*pairs]:
            changed |= _store(schema, model, graph, number, _values(other, dense, twin))
    if not changed:
        return content
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _matrices(schema: Any, model: Any, graph: Any) -> list[int]:
    """The tensor numbers of the weights of dense layers, in the order of the layers."""
    codes = [code.builtinCode for code in model.operatorCodes]
    layers = [
        one for one in graph.operators if codes[one.opcodeIndex] == schema.BuiltinOperator.FULLY_CONNECTED
    ]
    return [int(layer.inputs[1]) for layer in layers]


def _values(model: Any, graph: Any, number: int) -> np.ndarray:
    """The values of a tensor that is stored dense; empty for a tensor that is computed."""
    data = model.buffers[graph.tensors[number].buffer].data
    return np.frombuffer(b"" if data is None else np.asarray(data, np.uint8).tobytes(), "<f4")


def _store(schema: Any, model: Any, graph: Any, number: int, values: np.ndarray) -> bool:
    """Store a blockwise matrix by rows if it becomes smaller or has lost values.

    Returns whether it was changed.
    """
    tensor = graph.tensors[number]
    sparsity, buffer = tensor.sparsity, model.buffers[tensor.buffer]
    if sparsity is None or list(() if sparsity.blockMap is None else sparsity.blockMap) != [1]:
        return False
    dense = values.reshape(tensor.shape)
    above, left = np.nonzero(dense)
    segments = np.concatenate([[0], np.cumsum(np.bincount(above, minlength=len(dense)))])
    rows, columns, block = sparsity.dimMetadata
    before = [np.asarray(getattr(columns, name).values) for name in ("arraySegments", "arrayIndices")]
    whole = dense.shape[1] % block.denseSize == 0
    if whole and 4 * len(left) + _bytes(left) + _bytes(segments) >= len(buffer.data) + sum(
        map(_bytes, before)
    ):
        return False
    buffer.data = np.frombuffer(dense[above, left].astype("<f4").tobytes(), np.uint8)
    columns.arraySegments, columns.arraySegmentsType = _packed(schema, segments)
    columns.arrayIndices, columns.arrayIndicesType = _packed(schema, left)
    sparsity.dimMetadata, sparsity.blockMap, sparsity.traversalOrder = [rows, columns], [], [0, 1]
    _unpack_first(schema, model, graph, number)
    return True


def _bytes(numbers: np.ndarray) -> int:
    """The bytes that integers take in a LiteRT file: one, two or four each, depending on the largest."""
    most = int(numbers.max(initial=0))
    return int(numbers.size) * (1 if most < 1 << 8 else 2 if most < 1 << 16 else 4)


def _packed(schema: Any, numbers: np.ndarray) -> tuple[Any, int]:
    """Integers as a vector of the file, and the vector's type."""
    size = _bytes(numbers) // max(1, numbers.size)
    kind = {1: "Uint8Vector", 2: "Uint16Vector"}.get(size, "Int32Vector")
    vector = getattr(schema, f"{kind}T")()
    vector.values = numbers.astype(_INDEX.get(size, "int32"))
    return vector, getattr(schema.SparseIndexVector, kind)


def _unpack_first(schema: Any, model: Any, graph: Any, number: int) -> None:
    """Insert an operation, before all others, that unpacks a tensor.

    Every user of the tensor takes the result.
    """
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
