"""Output files appear whole or not at all: written beside the target, then moved into place."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from riskshare.errors import ArgumentError


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a file to write in place of ``path``; it takes the place when the block ends well.

    The file lies in the same folder under another name with the same ending. When the block ends it
    is flushed to the disk and moved over ``path``, which keeps its permissions; when the block
    raises it is removed and ``path`` stays as it was. A link is followed; a device such as
    ``/dev/stdout`` is written directly.

    Raises
    ------
    ArgumentError
        If ``path`` is a directory or its folder does not exist or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with replacing(target) as temporary:
    ...     _ = temporary.write_text("done")
    >>> target.read_text()
    'done'
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise ArgumentError(f"{path}: is a directory; accepted: the path of a file")
    if target.exists() and not target.is_file():
        yield target
        return
    temporary = target.with_name(f".{target.stem}-{secrets.token_hex(4)}{target.suffix}")
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise ArgumentError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        if target.exists():
            shutil.copymode(target, temporary)
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
