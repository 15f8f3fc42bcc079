"""Quantise a model to an int8 LiteRT file with TFMOT's prune-preserving scheme; used by `tfmot_writer.py`."""

import numpy as np

KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel", "embeddings")
# Decay of the moving averages of TFMOT's ranges; it is hard-coded in TFMOT's MovingAverageQuantizer.
DECAY = 0.999
BATCH, RATE = 128, 1e-4


def quantised(model, x, options):
    """Convert a model to an int8 LiteRT file whose pruned weights are zero, fine-tuned to imitate `model`."""
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    import tf_keras

    wanted = model.predict(x, batch_size=BATCH, verbose=0)
    with tfmot.quantization.keras.quantize_scope():
        annotated = tfmot.quantization.keras.quantize_annotate_model(model)
        scheme = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
        aware = tfmot.quantization.keras.quantize_apply(annotated, scheme)
    for layer in aware.layers:
        inner = getattr(layer, "layer", layer)
        # The target is the model in inference mode, so all layers must behave as in inference.
        if isinstance(inner, tf_keras.layers.BatchNormalization):
            inner.trainable = False
        elif isinstance(inner, tf_keras.layers.Dropout):
            inner.rate = 0
    find_ranges(aware, x)
    aware.compile(tf_keras.optimizers.Adam(RATE), "mse")
    chooser = np.random.default_rng(options["seed"])
    for _ in range(options["steps"]):
        chosen = chooser.integers(0, len(x), min(BATCH, len(x)))
        aware.train_on_batch(x[chosen], wanted[chosen])
    if options["steps"]:
        find_ranges(aware, x)
    converter = tf.lite.TFLiteConverter.from_keras_model(aware)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter.convert()


def find_ranges(aware, x):
    """Set the ranges of the activations to the widest range found in batches of the examples.

    TFMOT starts the ranges at -6 and 6, and each step moves them by a thousandth of the difference. After
    some hundred steps, outputs above 6 would still be cut off. This function computes from a single step the
    value that the range moves towards. A range that was too small hides the true range of later layers, which
    is found in the next pass. Therefore there are at most as many passes as layers.
    """
    names = [each.name.split(":")[0].rsplit("/", 1)[-1] for each in aware.weights]
    ends = {n: name for n, name in enumerate(names) if name.endswith(("_min", "_max"))}
    values = aware.get_weights()
    for n, name in ends.items():
        if name.startswith("quantize_layer"):  # the range of the inputs, which TFMOT only ever widens
            values[n] = np.float32(min(x.min(), 0) if name.endswith("_min") else max(x.max(), 0))
    # The ranges of weights follow the weights without any averaging.
    exact = [n for n, name in ends.items() if name.startswith(KERNELS)]
    moving = [n for n, name in ends.items() if not name.startswith(("quantize_layer", *KERNELS))]
    for _ in range(len(aware.layers)):
        before = {n: values[n] for n in moving}
        for n in moving:
            values[n] = np.float32(0)
        for batch in np.array_split(x, -(-len(x) // (4 * BATCH))):
            # Start from the ranges of the last pass; this also restores the statistics of BatchNormalization.
            aware.set_weights([before.get(n, value) for n, value in enumerate(values)])
            aware(batch, training=True)
            for n, start in before.items():
                end = np.float32(start + (aware.weights[n].numpy() - start) / (1 - DECAY))
                values[n] = min(values[n], end) if ends[n].endswith("_min") else max(values[n], end)
        values = [aware.weights[n].numpy() if n in exact else value for n, value in enumerate(values)]
        aware.set_weights(values)
        if all(np.allclose(values[n], start, 1e-3, 1e-3) for n, start in before.items()):
            break


def zeros_kept(content, plan, arrays, guarded):
    """By key, the fraction of pruned weights that are zero in a LiteRT file.

    Its kernels have the output axis first.
    """
    import tensorflow as tf

    plainly = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=plainly)
    interpreter.allocate_tensors()
    stored = []
    for detail in interpreter.get_tensor_details():
        if detail["dtype"] == np.int8 and len(detail["shape"]) > 1:
            try:
                stored.append(interpreter.get_tensor(detail["index"]))
            except ValueError:  # not a constant
                continue
    shares = {}
    for each in (one for leaf in plan["leaves"].values() for one in leaf):
        if each["key"] in guarded and not (mask := arrays[each["mask"]]).all():
            pruned = ~np.moveaxis(mask, -1, 0)
            # Take the best match among kernels of this shape: kernels of other layers have their zeros elsewhere.
            shares[each["key"]] = max(
                (float((kernel[pruned] == 0).mean()) for kernel in stored if kernel.shape == pruned.shape),
                default=0.0,
            )
    return shares
