"""LiteRT's sparse weights row by row, where its converter takes blocks of four and so stores more zeros than weights.

The converter takes blocks whenever nine tenths as many of them are empty as single weights are. Of a weight that is
sparser than 96.5 % that is always so, even at random; each block that is not empty then stores four values for one.
Where rows are no multiple of four long it even loses values, so that those of a file without sparsity are taken.
"""

from typing import Any

import numpy as np

_INDEX = {1: "uint8", 2: "uint16"}


def by_rows(content: bytes, plain: bytes) -> bytes:
    """A LiteRT file whose blockwise sparse matrices are stored weight by weight where that takes fewer bytes, or must.

    LiteRT unpacks such a matrix once, when it loads the file, as it does those that its converter stores so.

    Args:
        content: the file.
        plain: the same model, converted without sparsity.

    Returns:
        The file, `content` itself where no matrix changes.
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
    """The tensors that are the weights of dense layers, in the order of these."""
    codes = [code.builtinCode for code in model.operatorCodes]
    layers = [
        one for one in graph.operators if codes[one.opcodeIndex] == schema.BuiltinOperator.FULLY_CONNECTED
    ]
    return [int(layer.inputs[1]) for layer in layers]


def _values(model: Any, graph: Any, number: int) -> np.ndarray:
    """The numbers of a tensor that is stored whole; none of one that is computed."""
    data = model.buffers[graph.tensors[number].buffer].data
    return np.frombuffer(b"" if data is None else np.asarray(data, np.uint8).tobytes(), "<f4")


def _store(schema: Any, model: Any, graph: Any, number: int, values: np.ndarray) -> bool:
    """Store a matrix by rows, if it is in blocks and becomes smaller, or has lost values; whether it did."""
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
