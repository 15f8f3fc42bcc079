"""`--strategy`: what is refused before TensorFlow is imported, and what a worker that is not the chief prints."""

import json
import os
import socket
import subprocess
import sys
import sysconfig
from contextlib import ExitStack
from pathlib import Path

import pytest

KT = Path(sysconfig.get_path("scripts")) / "kt"


@pytest.mark.parametrize(
    ("config", "received"),
    [(None, "Received: TF_CONFIG is not set."), ("{}", "Received: JSON without the objects")],
)
def test_multiworker_without_a_proper_configuration_ends_at_once(config, received, tmp_path):
    code = "import sys, atexit; atexit.register(lambda: print('tensorflow' in sys.modules)); "
    code += "from kerastickets_cli.main import kt; kt(['prune', '--strategy', 'multiworker'])"
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    environment |= {"TF_CONFIG": config} if config else {}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (1, "False\n")
    assert done.stderr.startswith("Error: `strategy=multiworker` needs TF_CONFIG")
    assert received in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--strategy", "mirrored", "--jobs", 2), "leave out --jobs or --strategy mirrored."),
        (("--strategy", "multiworker", "--dry-run"), "--dry-run measures this machine alone"),
        (("--strategy", "miror"), "'miror' is not one of 'default', 'mirrored', 'multiworker'"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(kt, arguments, message):
    result = kt("prune", *arguments, code=2)
    assert message in result.stderr


@pytest.mark.slow
def test_only_the_chief_prints_and_writes(tmp_path):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]}
    command = [KT, "prune", "--model", "mlp:8", "--train", "1ep", "--levels", "1", "--rate", "0.5", "--json"]
    children = []
    try:
        for index in range(2):
            config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
            home = tmp_path / str(index)
            home.mkdir()
            pipe, environment = subprocess.PIPE, {**os.environ, "TF_CONFIG": config}
            arguments = [*command, "--strategy", "multiworker", "--out", "run"]
            children.append(
                subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=home)
            )
        outputs = [each.communicate(timeout=900) for each in children]
    finally:
        for each in children:
            each.kill()
            each.wait()
    assert [each.returncode for each in children] == [0, 0], outputs
    (chief, _), (other, note) = outputs
    assert [level["kept"] for level in json.loads(chief)["levels"]] == [592, 296]
    assert (other, note) == ("", "Done, as one of several workers. The chief, worker 0, has the run.\n")
    assert (tmp_path / "0" / "run" / "level-01.safetensors").exists()
    assert list((tmp_path / "1").iterdir()) == []
