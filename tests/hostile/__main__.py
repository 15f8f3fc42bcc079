"""The corpus of hostile inputs: `python -m tests.hostile --kind ticket --count 1000 --seed 0`.

It prints one JSON object per kind. The exit code is 1 if something failed that must not fail.
"""

import argparse
import json
import os
import sys
from collections.abc import Collection, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from tests.hostile.judge import ROOT
from tests.hostile.mutators import KINDS, count_steps
from tests.hostile.runner import Corpus, run
from tests.hostile.worker import PATIENCE

_BUILD = ROOT / "build" / "hostile"


def main() -> int:
    """Parse the arguments, and do what they ask for."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument(
        "--kind", action="append", choices=[*KINDS], help="a kind of input (repeatable); default: all"
    )
    parser.add_argument("--count", type=int, default=1000, help="how many mutations of each kind")
    parser.add_argument("--seed", type=int, default=0, help="the first seed; each input has the next one")
    parser.add_argument("--often", type=float, default=1, help="train and build so many times more often")
    parser.add_argument(
        "--patience",
        type=float,
        default=1,
        help="allow so many times more time, where other work is done too",
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many processes")
    parser.add_argument(
        "--only", type=int, metavar="SEED", help="try one input, with everything, and show tracebacks"
    )
    parser.add_argument(
        "--minimise", type=int, metavar="SEED", help="look for the fewest steps that fail; write them"
    )
    parser.add_argument(
        "--write", action="store_true", help="after a run, minimise one input of each cause as well"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="try an input that --minimise wrote")
    parser.add_argument(
        "--sound", type=Path, default=_BUILD / "sound", help="where the sound inputs are kept"
    )
    parser.add_argument("--out", type=Path, default=_BUILD / "found", help="where --minimise writes to")
    chosen = parser.parse_args()
    os.environ[PATIENCE] = str(chosen.patience)
    with Corpus(chosen.jobs, chosen.sound) as corpus:
        if chosen.replay:
            kept = json.loads(chosen.replay.read_text())
            return _shown([kept["kind"]], corpus.try_all([{"every": True} | kept]))
        kinds = chosen.kind or [*KINDS]
        if chosen.only is not None:
            one = ({"kind": kind, "seed": chosen.only, "every": True} for kind in kinds)
            return _shown(kinds, corpus.try_all(one))
        if chosen.minimise is not None:
            return max(_minimised(corpus, kind, chosen.minimise, chosen.out) for kind in kinds)
        return _run(corpus, kinds, chosen)


def _run(corpus: Corpus, kinds: Collection[str], chosen: Any) -> int:
    failed = 0
    for kind in kinds:
        facts = run(corpus, kind, chosen.count, chosen.seed, chosen.often, _say)
        print(json.dumps(facts, indent=1), flush=True)
        failed |= bool(facts["failures"])
        for found in facts["failures"] if chosen.write else ():
            _minimised(corpus, kind, found["examples"][0]["seed"], chosen.out, found["cause"])
    return failed


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _shown(kinds: Collection[str], outcomes: Iterator[dict[str, Any]]) -> int:
    failed = 0
    for outcome in outcomes:
        for failure in outcome["failures"]:
            print(ascii(f"{failure['action']}: {failure['cause']}")[1:-1], file=sys.stderr)
            print(failure.pop("trace").encode("ascii", "backslashreplace").decode(), file=sys.stderr)
            failed = 1
        print(json.dumps(outcome, indent=1))
    return failed


def _minimised(corpus: Corpus, kind: str, seed: int, out: Path, cause: str = "") -> int:
    """Try ever more of the steps until they fail as all of them do, and write that input to a file.

    Without `cause`, any of the causes will do.
    """
    message = {"kind": kind, "seed": seed, "every": True, "keep": True}
    [found] = corpus.try_all([message])
    failures = [one for one in found["failures"] if cause in ("", one["cause"])]
    if not failures:
        print(f"{kind} {seed} does not fail.", file=sys.stderr)
        return 0
    causes, just = {one["cause"] for one in failures}, [one["action"] for one in failures]
    steps = range(count_steps(kind, seed))
    for some in (some for size in range(len(steps)) for some in combinations(steps, size)):
        [outcome] = corpus.try_all([message | {"only": some, "just": just}])
        if causes & {failure["cause"] for failure in outcome["failures"]}:
            found = outcome
            break
    if "nodes" not in found:  # the process died, so the input is made again without trying it
        found |= _made(kind, seed, found.get("only"), corpus.home)
    for failure in found["failures"]:
        failure.pop("trace")
    kept = {name: found[name] for name in ("kind", "seed", "steps", "failures", "nodes")}
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{kind}-{seed}.json"
    file.write_text(json.dumps(kept, indent=1))
    print(ascii(f"{file}: {'; '.join(found['steps']) or 'no step at all'}")[1:-1], file=sys.stderr)
    return 1


def _made(kind: str, seed: int, only: Any, home: Path) -> dict[str, Any]:
    from tests.hostile import mutators, nodes, subjects

    made = mutators.mutate(kind, seed, subjects.sound(home, kind), only)
    return {"steps": made.steps, "nodes": nodes.to_json(made.nodes)}


if __name__ == "__main__":
    sys.exit(main())
