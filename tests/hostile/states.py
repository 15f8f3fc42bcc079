"""States of trainings that somebody changed on purpose: their digest is right again, since anyone can compute it."""

import json
from random import Random
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from kerastickets.training.checkpoint import _ENTRY, _digest
from tests.hostile import odd
from tests.hostile.damage import Change, damage, dumps, edit

_NAMES = ("snapshot/x/y", "snapshot/-1/dense/kernel", "best", "best/x", "variable/9", "variable/x", "", "a/b")


def unpack(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors and the facts of a state.

    Raises:
        Exception: it is no state, for instance after an earlier change.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    return load(content), json.loads(json.loads(content[8:start])["__metadata__"][_ENTRY])


def pack(tensors: dict[str, np.ndarray], facts: Any) -> bytes:
    """A state with these tensors and facts, and the digest that it should have."""
    if isinstance(facts, dict):
        facts.pop("digest", None)
        facts = {**facts, "digest": _digest(tensors, json.loads(dumps(facts)))}
    return save(tensors, {_ENTRY: dumps(facts).encode(errors="replace").decode()})


def _other(draw: Random, value: np.ndarray) -> np.ndarray:
    kinds = (
        np.zeros_like(value),
        np.full(value.shape, 255).astype(value.dtype),
        value[:-1] if value.ndim else value[None],
        value.reshape(-1),
        value.astype("f8"),
        np.frombuffer(draw.randbytes(value.nbytes), value.dtype).reshape(value.shape),
    )
    return draw.choice(kinds)


def edit_state(draw: Random, content: bytes) -> Change:
    """Change one fact or one tensor of a state."""
    try:
        tensors, facts = unpack(content)
        kind, name = draw.randrange(8), draw.choice(sorted(tensors))
        if kind < 5:
            part = draw.choice(sorted(facts))
            facts[part], said = (
                edit(draw, facts[part]) if draw.random() < 0.6 else (odd.value(draw), "another value")
            )
            said = f"{part}: {said}"
        elif kind == 5:
            tensors[name], said = _other(draw, tensors[name]), f"{name}: another array"
        elif kind == 6:
            new = draw.choice(
                ["snapshot/x/y", "snapshot/-1/dense/kernel", "best", "variable/9", "variable/x", "", "a/b"]
            )
            tensors[new], said = tensors.pop(name), f"{name} is called {new}"
        else:
            del tensors[name]
            said = f"no {name}"
        return pack(tensors, facts), said
    except Exception:  # safetensors has errors of its own
        return damage(draw, content)
