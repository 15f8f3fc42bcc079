"""The PyTorch side of the race: no DataLoader, data in memory, one masked step after another.

Variants: `default` is Adam as it comes; `fused` and `compiled` are PyTorch at its best, with fused Adam, foreach
mask multiplies and, for `compiled`, `torch.compile`; `-1` runs on one thread, which suits tiny nets.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from kerastickets_cli.race.nets import Net
from kerastickets_cli.race.side import serve


def build(net: Net) -> Any:
    """The net as a PyTorch module."""
    layers: list[Any] = []
    if net.conv:
        layers += [nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()]
        layers += [nn.MaxPool2d(2), nn.Flatten()]
    for rows, columns in [shape for shape in net.shapes if len(shape) == 2]:
        layers += [nn.Linear(rows, columns), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def prepare(net: Net, variant: str) -> Callable[[int, int], Any]:
    """A function that trains `count` steps in the order keyed by `first`."""
    if variant.endswith("-1"):
        torch.set_num_threads(1)
    torch.manual_seed(0)
    x, y = (torch.from_numpy(array) for array in net.data())
    model = build(net)
    if net.conv:
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        model = model.to(memory_format=torch.channels_last)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    x, y, model = x.to(device), y.to(device), model.to(device)
    weights = [p for p in model.parameters() if p.ndim > 1]
    masks = [(torch.rand_like(w) < 0.5).float() for w in weights]
    best = not variant.startswith("default")
    optimizer = torch.optim.Adam(model.parameters(), net.lr, eps=1e-8, fused=True if best else None)
    loss_of = nn.CrossEntropyLoss()

    def loss(inputs: Any, labels: Any) -> Any:
        return loss_of(model(inputs), labels)

    forward = torch.compile(loss) if variant.startswith("compiled") else loss

    def apply_masks() -> None:
        with torch.no_grad():
            if best:
                torch._foreach_mul_(weights, masks)
                return
            for weight, mask in zip(weights, masks, strict=True):
                weight.mul_(mask)

    def run(first: int, count: int) -> None:
        order = torch.from_numpy(np.random.default_rng(first).permutation(net.examples)).to(device)
        per_epoch = net.examples // net.batch
        for step in range(count):
            at = step % per_epoch
            rows = order[at * net.batch : (at + 1) * net.batch]
            optimizer.zero_grad(set_to_none=True)
            forward(x[rows], y[rows]).backward()
            optimizer.step()
            apply_masks()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


if __name__ == "__main__":
    serve(prepare)
