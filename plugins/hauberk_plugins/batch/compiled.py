"""What numba has compiled, kept for the next process: by processor, checked before it is used.

Numba's own cache stands beside the source or where a variable says, and trusts what it finds. This
one stands in a private folder of the user's, and what does not bear its own hash, is another's, or
cannot be read is compiled anew.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import pickle
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import llvmlite
import numba
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from hauberk.errors import HauberkError
from hauberk.files import check_private, make_private_folder, read_private, write_private

log = logging.getLogger("hauberk")

_HERE: Final = Path(__file__).parent
#: What is compiled, and what makes it.
_CODE: Final = (
    *(_HERE / name for name in ("compiled.py", "lanes.py", "rows.py")),
    *sorted((_HERE.parent / "sha2").glob("*.py")),
)
_DIGEST: Final = hashlib.sha256().digest_size
#: Bytes; one function has some hundred thousand.
_LARGEST: Final = 1 << 26


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's folder for it (XDG Base Directory Specification)."""
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        base = Path.home() / ".cache"
    return base / "hauberk" / "compiled"


class Cache:
    """What numba asks before it compiles a function, and tells what it has compiled.

    Args:
        folder: Where.
        name: Of the function: unlike any other that is kept there.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.cache_path = str(folder)
        self._folder = folder
        self._name = name

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return what a signature was compiled to on this processor, or `None`."""
        target.refresh()
        try:
            check_private(self._folder)
            kept = read_private(self._path(signature, target), limit=_LARGEST)
        except FileNotFoundError:
            return None
        except (OSError, HauberkError) as error:
            log.warning("%s is compiled anew: %s", self._name, error)
            return None
        try:
            digest, code = kept[:_DIGEST], kept[_DIGEST:]
            if not hmac.compare_digest(digest, hashlib.sha256(code).digest()):
                raise ValueError("it is damaged")
            # Pickled by `save_overload`, in a folder that nobody but us can write to.
            return CompileResult._rebuild(target, *pickle.loads(code))  # noqa: S301
        except Exception as error:
            log.warning("%s is compiled anew, what was kept is of no use: %s", self._name, error)
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep what a signature was compiled to; where that fails, it is compiled again."""
        try:
            code = dumps(compiled._reduce())
            make_private_folder(self._folder)
            content = hashlib.sha256(code).digest() + code
            write_private(self._path(signature, compiled.target_context), content)
        except (OSError, HauberkError, pickle.PicklingError, TypeError) as error:
            log.debug("%s is not kept: %s", self._name, error)

    def enable(self) -> None:
        """Asked by numba; it is always on."""

    def disable(self) -> None:
        """Asked by numba; it is always on."""

    def flush(self) -> None:
        """Asked by numba where a function is compiled anew: what is kept is overwritten."""

    def _path(self, signature: Any, target: Any) -> Path:
        what = repr((_SOURCES, self._name, str(signature), target.codegen().magic_tuple()))
        return self._folder / f"{hashlib.sha256(what.encode()).hexdigest()[:40]}.bin"


def _sources() -> str:
    """Return a digest of everything that what is compiled depends on, the processor aside."""
    digest = hashlib.sha256()
    for version in (numba.__version__, llvmlite.__version__, platform.python_version()):
        digest.update(version.encode() + b"\0")
    for path in _CODE:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


_SOURCES: Final = _sources()
