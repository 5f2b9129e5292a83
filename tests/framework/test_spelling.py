"""A misspelt name is answered with the one that was meant, and quickly."""

from hauberk.spelling import nearest


def test_only_a_near_name_is_proposed() -> None:
    assert nearest("venu", ["venue", "key"]) == "; did you mean 'venue'?"
    assert nearest("xyz", ["venue", "key"]) == nearest("x" * 1_000_000, ["venue"]) == ""
