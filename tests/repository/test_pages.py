"""The pages do what they say: Python runs, commands and options exist, links inside the repository lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/*/*.md"),
        *ROOT.glob("saved_models/*.md"),
    ]
)
COMMAND = re.compile(r"^\$ (kt .*)$|`(kt [^`]+)`", re.MULTILINE)


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_the_readme_runs_from_top_to_bottom(run_python_blocks):
    assert run_python_blocks(ROOT / "README.md") >= 3


def test_the_page_on_analysis_runs_from_top_to_bottom(run_python_blocks):
    assert run_python_blocks(ROOT / "docs" / "analysis.md") == 2


@pytest.mark.slow
def test_the_page_on_transfer_runs_from_top_to_bottom(run_python_blocks):
    assert run_python_blocks(ROOT / "docs" / "transfer.md") == 3


@pytest.mark.slow
def test_the_page_on_shrinking_runs_from_top_to_bottom(run_python_blocks):
    page = ROOT / "docs" / "shrink.md"
    assert run_python_blocks(page, together=True) == 4
    # The working folder now holds the files that the page's command names.
    from click.testing import CliRunner

    from kerastickets_cli.main import kt

    (command,) = [words for words in commands_of(page) if words[0] == "shrink" and "--dataset" in words]
    done = CliRunner().invoke(kt, command, prog_name="kt")
    assert done.exit_code == 0, done.output
    assert Path("runs/shrink-net/model.tflite").exists()


def commands_of(page: Path) -> list[list[str]]:
    text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
    found = [match[1] or match[2] for match in COMMAND.finditer(text)]
    return [shlex.split(command, comments=True)[1:] for command in found]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_on_the_page_exist_with_their_options(page):
    import click

    from kerastickets_cli.main import kt

    context = click.Context(kt)
    for words in commands_of(page):
        if words[0].startswith("-"):
            continue
        command = kt.get_command(context, words[0])
        assert command is not None, words
        known = {
            option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]
        }
        known |= {"-h", "--help"}
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert used <= known, f"kt {' '.join(words)}: {sorted(used - known)}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_inside_the_repository_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
