"""Check the names of strategies, and read the cluster that TF_CONFIG describes.

This module does not import TensorFlow, so that a mistyped name or a malformed TF_CONFIG is refused at once.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from kerastickets.errors import RecipeError
from kerastickets.registry.plugin_options import unknown

#: `default`: one device. `mirrored`: all devices of this machine. `multiworker`: the machines of TF_CONFIG.
Strategy = Literal["default", "mirrored", "multiworker"]

_EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'
)


@dataclass(frozen=True)
class Cluster:
    """The worker processes that train together, and the number of this process among them.

    Args:
        workers: the addresses of all workers, as `host:port`. The chief comes first.
        index: the position of this process in `workers`. 0 is the chief; only the chief writes files.
    """

    workers: tuple[str, ...]
    index: int

    @classmethod
    def of(cls, text: str | None) -> "Cluster":
        """Read the cluster from the value of TF_CONFIG.

        Args:
            text: the value of the environment variable; None if it is not set.

        Raises:
            RecipeError: it is missing or malformed. The message says what is wrong and shows a correct
                example.

        Example:
            >>> Cluster.of('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}')
            Cluster(workers=('a:1', 'b:1'), index=1)
        """
        if not text:
            raise _malformed("TF_CONFIG is not set")
        try:
            config = json.loads(text)
        except ValueError as error:
            raise _malformed(f"text that is no JSON ({error})") from error
        cluster, task = (
            config.get(name) if isinstance(config, dict) else None for name in ("cluster", "task")
        )
        if not isinstance(cluster, dict) or not isinstance(task, dict):
            raise _malformed("JSON without the objects `cluster` and `task`")
        addresses = _addresses(cluster)
        kind, index = task.get("type"), task.get("index")
        if not isinstance(kind, str) or kind not in addresses:
            raise _malformed(f"task.type={kind!r}, but the cluster has no process of that type")
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(addresses[kind]):
            raise _malformed(f"task.index={index!r} of {len(addresses[kind])} {kind} processes")
        before = len(addresses["chief"]) if kind == "worker" and "chief" in addresses else 0
        return cls(
            tuple(address for kind in sorted(addresses) for address in addresses[kind]), before + index
        )

    @property
    def chief(self) -> bool:
        """Whether this process is the chief, the only process that writes files."""
        return self.index == 0


def _addresses(cluster: Mapping[str, Any]) -> dict[str, list[str]]:
    addresses = {}
    for kind, found in cluster.items():
        if kind not in ("chief", "worker"):
            raise _malformed(f"a cluster with {kind!r}; only `worker` (and one `chief`) train together")
        if not isinstance(found, list) or not found or not all(_is_address(address) for address in found):
            raise _malformed(f"cluster.{kind}={json.dumps(found)}, not a list of host:port")
        addresses[kind] = found
    if len(addresses.get("chief", [])) > 1:
        raise _malformed("more than one chief")
    every = [address for found in addresses.values() for address in found]
    if len(set(every)) < len(every):
        raise _malformed("an address that is listed twice")
    return addresses


def _is_address(address: Any) -> bool:
    host, colon, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    return bool(host and colon and port.isascii() and port.isdecimal() and 0 < int(port) < 2**16)


def _malformed(received: str) -> RecipeError:
    return RecipeError(
        f"`strategy=multiworker` needs TF_CONFIG in the environment of every worker, such as {_EXAMPLE}. "
        f"Received: {received}."
    )


def check_strategy(strategy: Any) -> None:
    """Check a strategy, without importing TensorFlow.

    Args:
        strategy: `default`, `mirrored`, `multiworker`, or your own `tf.distribute.Strategy`.

    Raises:
        RecipeError: there is no such strategy, or it is `multiworker` and TF_CONFIG is missing or malformed.

    Example:
        >>> check_strategy("mirrored")
    """
    if isinstance(strategy, str):
        if strategy not in get_args(Strategy):
            raise RecipeError(unknown("strategy", strategy, get_args(Strategy), "Known"))
        if strategy == "multiworker":
            Cluster.of(os.environ.get("TF_CONFIG"))
        return
    # A caller who made a strategy has imported TensorFlow already.
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not isinstance(strategy, tensorflow.distribute.Strategy):
        raise RecipeError(
            "`strategy` must be a name or a tf.distribute.Strategy. "
            f"Received: strategy={strategy!r}. Known: {', '.join(get_args(Strategy))}."
        )


def is_chief(strategy: Any) -> bool:
    """Whether this process writes and prints results. All do, except workers other than the chief.

    Args:
        strategy: the name of a strategy that `check_strategy` accepts.

    Example:
        >>> is_chief("default"), is_chief("mirrored")
        (True, True)
    """
    return strategy != "multiworker" or Cluster.of(os.environ.get("TF_CONFIG")).chief
