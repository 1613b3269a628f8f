"""JAX's compilation cache: a kernel compiled once is read back by the next process.

The cache is a setting of JAX's for the whole process, so importing riskshare never touches it: the
command line switches it on, and whoever uses the library says so with `use_compilation_cache`.
This module imports neither JAX nor NumPy until it must, as the command line reads it to print help.
"""

import hashlib
import os
import platform
import sys
import tempfile
from pathlib import Path

FOLDER_VARIABLE = "RISKSHARE_CACHE"
"""Environment variable: the folder, or ``off`` or nothing for no cache."""

LEAST_SECONDS = 0.1
"""Programs that compile faster are not kept. A kernel takes longer; the small programs around it do
not, and reading one back takes as long as compiling it."""

_SETTINGS = {
    "jax_persistent_cache_min_compile_time_secs": LEAST_SECONDS,
    # of any size, whatever JAX thinks right for the file system
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
_DIRECTORY = "jax_compilation_cache_dir"


def use_compilation_cache(folder: str | os.PathLike[str] | None = None) -> Path | None:
    """Keep compiled kernels in a folder, for this process and those after it.

    **This changes a setting of JAX's for the whole process**, other users of JAX in it included.
    Call it before the first simulation: JAX opens its cache when it first compiles. The command
    line does so by itself. Kernels are told apart by their program, JAX's version and compile
    options: another case's numbers use the same one, a case of another structure has its own. A
    kernel takes about 100 kB; the folder may be deleted at any time.

    Parameters
    ----------
    folder
        Where to keep them. Unless given, what ``RISKSHARE_CACHE`` says (``off`` or empty for no
        cache), else ``riskshare`` in the user's cache folder. There each kind of processor has its
        own folder, as a kernel compiled for one may not run on another.

    Returns
    -------
    pathlib.Path or None
        The folder in use; the one set before where JAX has a cache already, as it is left alone
        unless a folder is given. None where there is no cache: switched off, or the folder cannot
        be written.

    Examples
    --------
    >>> import riskshare as rs
    >>> folder = rs.use_compilation_cache()  # doctest: +SKIP
    """
    import jax

    if folder is None:
        before = getattr(jax.config, _DIRECTORY)
        if before:
            return Path(before)
        found = default_folder()
    else:
        found = Path(folder).expanduser().absolute()
    if found is None or not _writable(found):
        return None
    kept = {name: value for name, value in _SETTINGS.items() if name.upper() not in os.environ}
    for name, value in {_DIRECTORY: str(found), **kept}.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]  # JAX gives it no type
    return found


def offer_compilation_cache() -> None:
    """Switch the cache on for a command, without importing JAX.

    Through environment variables, which JAX reads when it is imported; a user's own settings of the
    cache stand.
    """
    if os.environ.get(_DIRECTORY.upper()) is not None:
        return
    if "jax" in sys.modules:
        use_compilation_cache()
        return
    folder = default_folder()
    if folder is None or not _writable(folder):
        return
    os.environ[_DIRECTORY.upper()] = str(folder)
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name.upper(), str(value))


def default_folder() -> Path | None:
    """Return the folder that the environment and the platform say; None where it is switched off.

    ``RISKSHARE_CACHE`` if set, else the user's cache folder: ``$XDG_CACHE_HOME`` or ``~/.cache`` on
    Linux, ``~/Library/Caches`` on macOS, ``%LOCALAPPDATA%`` on Windows.
    """
    said = os.environ.get(FOLDER_VARIABLE)
    if said is not None:
        off = said.strip().lower() in ("", "off")
        return None if off else Path(said).expanduser().absolute()
    try:
        return _caches() / "riskshare" / _processor()
    except RuntimeError:  # nobody's home is known
        return None


def _caches() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    own = os.environ.get("XDG_CACHE_HOME", "")
    # the XDG rules have a relative path ignored
    return Path(own) if os.path.isabs(own) else Path.home() / ".cache"


def _processor() -> str:
    """Return a name for this kind of processor, the same for all that share its instructions."""
    said = platform.processor()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            wanted = ("flags", "Features", "model name")
            found = {line.partition(":")[0].strip(): line for line in lines if ":" in line}
            said += "".join(found.get(name, "") for name in wanted)
    except OSError:
        pass
    return f"{platform.machine() or 'cpu'}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def _writable(folder: Path) -> bool:
    """Make the folder and say whether a file can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
