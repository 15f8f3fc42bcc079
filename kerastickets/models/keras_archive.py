"""Look into a `.keras` file before Keras reads it: what it claims must fit into memory and stay in its place."""

import zipfile
from pathlib import Path

from kerastickets.errors import RecipeError
from kerastickets.foundations.memory import check_memory
from kerastickets.foundations.reading import open_regular
from kerastickets.foundations.strangers import printable

# Keras writes three members; a model with vocabularies has one more for each.
_MOST_MEMBERS = 10_000
_LARGEST_CONFIG = 64_000_000


def check_archive(path: Path) -> None:
    """Refuse a `.keras` file whose members Keras should not unpack. A file that is no archive is left to Keras.

    Args:
        path: the file.

    Raises:
        RecipeError: a member has a name that leads elsewhere, its size is out of bounds, or all do not fit into memory.
        OSError: the file cannot be opened.
    """
    with open_regular(path) as file:
        if not zipfile.is_zipfile(file):
            return
        try:
            members = zipfile.ZipFile(file).infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise _refused(path, str(error)) from error
    if len(members) > _MOST_MEMBERS:
        raise _refused(path, f"{len(members):,} members")
    names = [member.orig_filename for member in members]
    odd = [name for name in names if not name or "\0" in name or name[0] == "/" or ".." in Path(name).parts]
    if odd or len({*names}) < len(names):
        raise _refused(path, f"a member named {odd[0]!r}" if odd else "two members of one name")
    for member in members:
        if member.filename.endswith(".json") and member.file_size > _LARGEST_CONFIG:
            raise _refused(path, f"{member.filename} of {member.file_size:,} bytes")
    check_memory(
        2 * sum(member.file_size for member in members), f"The model in {path}", "Use a smaller model."
    )


def _refused(path: Path, why: str) -> RecipeError:
    return RecipeError(f"{path} must be a model saved by Keras. Received: {printable(why)}")
