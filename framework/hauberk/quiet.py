"""Errors without the frames that they come from: locals there hold passwords, codes and keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hauberk.errors import HauberkError

_T = TypeVar("_T")


def quietly(what: str, function: Callable[[], _T], failed: type[HauberkError] = HauberkError) -> _T:
    """Call a function; what it raises leaves without traceback, cause and context below here.

    Whoever reports a traceback with its locals would otherwise print what a library, a store or a
    parser held when it failed.

    Args:
        what: What is being done, for the text of an error that is not ours.
        function: Called without arguments; what it closes over should be `Secret`.
        failed: What an error that is not ours becomes; made of one text.

    Raises:
        HauberkError, OSError: As raised, the latter where it is the operating system's; any other
            exception becomes a `failed` with its type's name, since its text may quote a secret.
        BaseException: What is no `Exception`, such as KeyboardInterrupt, as raised.
    """
    raised: BaseException
    try:
        return function()
    except HauberkError as error:
        raised = error
    except Exception as error:
        is_plain = isinstance(error, OSError) and error.errno is not None
        raised = error if is_plain else failed(f"{what} failed: {type(error).__name__}")
    except BaseException as error:
        raised = error
    # Outside the handlers: what is raised inside one keeps the first error as its context.
    raised.__cause__ = raised.__context__ = None
    raise raised.with_traceback(None)
