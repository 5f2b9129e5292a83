"""Errors show what is ours, and nothing that may be a secret."""

from hauberk.errors import StoreError, safe_text


def test_the_text_of_an_error_that_is_not_ours_is_not_shown() -> None:
    assert safe_text(StoreError("the disk is full")) == "the disk is full"
    assert safe_text(ValueError("password=hunter2")) == "ValueError"
