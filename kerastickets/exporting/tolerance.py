"""How far the outputs of an export may be from its model's, by the type in which the model computes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

_TOLERANCE, _STEPS = 1e-4, 16


def tolerance_for(exporter: Any, model: "keras.Model") -> float:
    """The largest allowed difference between an export and its model, as a fraction of the largest output.

    It is the exporter's own `tolerance`, but at least 16 times the machine epsilon of the coarsest type in which a
    layer computes. Each layer rounds by up to half an epsilon, so that two correct ways to compute a net differ by an
    epsilon per layer. Such errors add up like a random walk: 256 layers give sqrt(256) = 16 epsilons. For float32 this
    is less than the default of 1e-4, for float16 it is 0.016, and for bfloat16 0.125.

    Args:
        exporter: an exporter.
        model: the model that is exported.

    Example:
        >>> import keras
        >>> half = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, dtype="mixed_float16")])
        >>> tolerance_for(None, half), tolerance_for(None, keras.Sequential([keras.Input((2,))]))
        (0.015625, 0.0001)
    """
    own = float(getattr(exporter, "tolerance", _TOLERANCE))
    return max(own, _STEPS * max(map(_epsilon, compute_dtypes(model)), default=0.0))


def compute_dtypes(model: "keras.Model") -> set[str]:
    """The types of floats in which the layers of a model compute."""
    import keras

    dtypes = {layer.compute_dtype for layer in model._flatten_layers() if layer.compute_dtype is not None}
    return {dtype for dtype in dtypes if keras.backend.is_float_dtype(dtype)}


def _epsilon(dtype: str) -> float:
    import ml_dtypes

    return float(ml_dtypes.finfo(dtype).eps)
