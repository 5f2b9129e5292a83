from __future__ import annotations

import secrets
import traceback
from collections.abc import Callable

import pytest

from hauberk.errors import StoreConflict, StoreError
from hauberk_plugins.auth.errors import AuthError
from hauberk_plugins.auth.quiet import quietly

#: Not in the source, whose lines a traceback shows.
MARK = secrets.token_hex(8)


def shown(error: BaseException) -> str:
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def raising(error: BaseException | type[Exception]) -> Callable[[], None]:
    def fails() -> None:
        held = MARK + "-value"
        try:
            raise ValueError(held)
        except ValueError:
            raise (error(held) if isinstance(error, type) else error) from None

    return fails


def test_what_is_returned_is_returned() -> None:
    assert quietly("counting", lambda: 5) == 5


@pytest.mark.parametrize("error", [StoreError("full"), StoreConflict("other"), OSError(28, "full")])
def test_an_error_that_may_be_shown_keeps_its_type_and_loses_what_it_held(
    error: Exception,
) -> None:
    with pytest.raises(type(error), match=str(error.args[-1])) as caught:
        quietly("writing", raising(error))
    assert caught.value is error
    assert MARK not in shown(caught.value)


@pytest.mark.parametrize("kind", [ValueError, KeyError, OSError])
def test_any_other_is_named_by_its_type_alone(kind: type[Exception]) -> None:
    with pytest.raises(AuthError, match=rf"writing failed: {kind.__name__}\Z") as caught:
        quietly("writing", raising(kind))
    assert MARK not in shown(caught.value)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_an_interrupt_goes_on_without_what_it_held(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        quietly("writing", raising(error))
    assert MARK not in shown(caught.value)


def test_called_while_another_error_is_handled_it_shows_that_one_alone() -> None:
    def handle() -> None:
        try:
            raise RuntimeError("first")
        except RuntimeError:
            quietly("writing", raising(ValueError))

    with pytest.raises(AuthError) as caught:
        handle()
    assert "first" in shown(caught.value)
    assert MARK not in shown(caught.value)
