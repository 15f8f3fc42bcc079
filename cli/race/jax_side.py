"""The JAX side of the race: `lax.scan` over data on the device, optax, masks after each step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from kerastickets_cli.race.nets import Net
from kerastickets_cli.race.side import serve


def parameters(net: Net) -> list[dict[str, np.ndarray]]:
    """Weights and biases."""
    rng = np.random.default_rng(0)
    return [
        {"w": (rng.normal(size=shape) * 0.05).astype("float32"), "b": np.zeros(shape[-1], "float32")}
        for shape in net.shapes
    ]


def forward(params: Any, x: Any) -> Any:
    """Logits."""
    for n, layer in enumerate(params):
        w, b = layer["w"], layer["b"]
        if w.ndim == 4:
            x = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = jax.nn.relu(x + b)
            if w.shape[2] == 64:
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
                x = x.reshape(x.shape[0], -1)
        else:
            x = x @ w + b
            x = x if n == len(params) - 1 else jax.nn.relu(x)
    return x


def prepare(net: Net, variant: str) -> Callable[[int, int], Any]:
    """A function that trains `count` steps in the order keyed by `first`."""
    x, y = (jnp.asarray(array) for array in net.data())
    params = parameters(net)
    rng = np.random.default_rng(1)
    masks = [(rng.random(layer["w"].shape) < 0.5).astype("float32") for layer in params]
    optimizer = optax.adam(net.lr, eps=1e-8)
    state: dict[str, Any] = {"params": params, "slots": optimizer.init(params)}

    def loss(params: Any, inputs: Any, labels: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(forward(params, inputs), labels).mean()

    def step(carry: Any, rows: Any) -> Any:
        params, slots = carry
        gradients = jax.grad(loss)(params, x[rows], y[rows])
        updates, slots = optimizer.update(gradients, slots, params)
        params = optax.apply_updates(params, updates)
        params = [
            {"w": layer["w"] * mask, "b": layer["b"]} for layer, mask in zip(params, masks, strict=True)
        ]
        return (params, slots), None

    @jax.jit
    def scan(params: Any, slots: Any, rows: Any) -> Any:
        return jax.lax.scan(step, (params, slots), rows)[0]

    per_epoch = net.examples // net.batch

    def run(first: int, count: int) -> None:
        epochs = -(-count // per_epoch)
        orders = [np.random.default_rng([first, n]).permutation(net.examples) for n in range(epochs)]
        used = per_epoch * net.batch
        rows = np.concatenate([order[:used].reshape(per_epoch, net.batch) for order in orders])[:count]
        state["params"], state["slots"] = scan(state["params"], state["slots"], jnp.asarray(rows))
        jax.block_until_ready(state["params"])

    return run


if __name__ == "__main__":
    serve(prepare)
