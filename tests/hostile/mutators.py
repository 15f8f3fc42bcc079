"""Mutations: each is a pure function of a seed and an input, and says what it did.

An input is changed in one to four steps. Each step draws from its own seed, so a step can be left out and the others
stay what they are. That is how a failure is minimised.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from random import Random

from tests.hostile import archives, arrays, damage, folders, images, states, tickets
from tests.hostile.nodes import File, Input, Node

Change = Callable[[Random, bytes], tuple[bytes, str]]
Step = Callable[[Random, Input], folders.Made]


@dataclass(frozen=True)
class Mutated:
    """A mutated input.

    Args:
        nodes: the input.
        steps: what each step did.
    """

    nodes: dict[str, Node]
    steps: tuple[str, ...]


def mutate(kind: str, seed: int, nodes: Input, only: Collection[int] | None = None) -> Mutated:
    """Change an input.

    Args:
        kind: a key of `KINDS`.
        seed: of all random numbers. A negative seed changes nothing.
        nodes: the sound input.
        only: the steps to take, counted from 0. None takes all.

    Example:
        >>> sound = {"a.json": File(b'{"a": 1}')}
        >>> mutate("run", 7, sound) == mutate("run", 7, sound)
        True
        >>> mutate("run", -1, sound).nodes == sound
        True
    """
    changed, said = dict(nodes), []
    for number in range(count_steps(kind, seed)):
        if only is None or number in only:
            draw = Random(f"{kind}/{seed}/{number}")
            changed, what = draw.choice(KINDS[kind])(draw, changed)
            said.append(what)
    return Mutated(changed, tuple(said))


def count_steps(kind: str, seed: int) -> int:
    """How many steps a seed takes: mostly one."""
    return 0 if seed < 0 else Random(f"{kind}/{seed}").choice([1, 1, 1, 2, 2, 3, 4])


def _file(change: Change, ending: str = "") -> Step:
    """Change the content of a file, of one whose name ends so if there are any."""

    def step(draw: Random, nodes: Input) -> folders.Made:
        files = {name: node for name, node in nodes.items() if isinstance(node, File)}
        names = [name for name in files if name.endswith(ending)] or [*files]
        if not names:
            return folders.edit_folder(draw, nodes)
        name = draw.choice(names)
        content, said = change(draw, files[name].content)
        return {**nodes, name: File(content)}, f"{name[-60:]}: {said}"

    return step


def _every_image(draw: Random, nodes: Input) -> folders.Made:
    """The same image in all places, so that no difference between them is found first."""
    content, said = images.edit_image(draw, images.gray())
    return {
        name: File(content) if name.endswith(".png") else node for name, node in nodes.items()
    }, f"all: {said}"


def _member(draw: Random, name: str, content: bytes) -> tuple[bytes, str]:
    """A member of a .keras file: JSON, or the weights, which are bytes of HDF5."""
    change = damage.edit_json if name.endswith(".json") and draw.random() < 0.9 else damage.damage
    return change(draw, content)


def _keras(draw: Random, content: bytes) -> tuple[bytes, str]:
    return archives.edit_member(draw, content, _member)


_BYTES = _file(damage.damage)
_TICKETS = (
    *[_file(tickets.edit_header, ".safetensors")] * 6,
    *[_file(tickets.edit_weights, ".safetensors")] * 2,
    *[_file(tickets.edit_parts, ".safetensors")] * 2,
)
_JSON = (_file(damage.edit_json, ".json"), _file(damage.edit_lines, ".jsonl"))

#: The steps that an input of each kind may take; the same one several times if it is taken more often.
KINDS: Mapping[str, tuple[Step, ...]] = {
    "ticket": (*_TICKETS * 2, *[_BYTES] * 4, _file(tickets.relength)),
    "run": (*[folders.edit_folder] * 4, *_TICKETS[::2], *_JSON * 3, _BYTES),
    "study": (*[folders.edit_folder] * 2, *[_JSON[0]] * 6, _JSON[1], _BYTES),
    "cache": (*[folders.edit_folder] * 3, *_TICKETS[::2], *[_JSON[0]] * 4, _BYTES),
    "npz": (*[_file(arrays.edit_arrays)] * 6, *[_file(archives.edit_archive)] * 3, *[_BYTES] * 2),
    "images": (
        *[folders.edit_folder] * 4,
        *[_file(images.edit_image, ".png")] * 4,
        _every_image,
        _every_image,
    ),
    "keras": (*[_file(_keras)] * 6, *[_file(archives.edit_archive)] * 3, _BYTES),
    "state": (*[_file(states.edit_state)] * 5, _BYTES, folders.edit_folder),
    "export": (*[folders.edit_folder] * 3, *[folders.leave_remains] * 3, _BYTES),
}
