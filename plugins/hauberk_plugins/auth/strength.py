"""Whether a password is hard enough to guess: its length, zxcvbn, and what is on every list.

There are no rules of composition (NIST SP 800-63B-4, 3.1.1.2): they make passwords predictable, not
strong.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen

from hauberk.secret import Secret
from hauberk_plugins.auth.errors import WeakPassword
from hauberk_plugins.auth.passwords import MAX_BYTES, normal
from hauberk_plugins.auth.phrases import is_known_phrase
from hauberk_plugins.auth.quiet import quietly

#: Characters, after normalisation; less is enough where a second factor is asked for too.
MIN_LENGTH: Final = 15
MIN_LENGTH_WITH_FACTOR: Final = 8
#: Of 4, by zxcvbn's estimate: more than 10^8 guesses.
MIN_SCORE: Final = 3
#: More than 10^6: eight characters drawn at random have no more than 2.
MIN_SCORE_WITH_FACTOR: Final = 2
#: What zxcvbn takes at most, characters.
_JUDGED: Final = 72
_LEAST_DIFFERENT: Final = 5
#: Where a word of the context begins to be one.
_SHORTEST_WORD: Final = 4
#: What a password for this must not be made of.
PRODUCT_WORDS: Final = (
    *("hauberk", "binance", "bybit", "kraken", "coinbase", "trading", "tradingbot", "bitcoin"),
    *("ethereum", "admin", "operator", "password", "passphrase", "login"),
)

_ZXCVBN: Final = threading.Lock()


@frozen
class _Opinion:
    """What zxcvbn says, without the parts of the password that it says it of.

    Attributes:
        score: From 0 to 4.
        advice: Fixed sentences.
    """

    score: int
    advice: tuple[str, ...]


def check_strength(password: Secret, name: str, *, has_factor: bool) -> None:
    """Check a password that somebody chose.

    Args:
        password: As typed.
        name: Whose; it must not be made of it.
        has_factor: Whether a second factor is asked for too.

    Raises:
        WeakPassword: It will not do; says why, and quotes nothing of it.
    """
    form = normal(password)
    if form is None:
        raise WeakPassword(f"it must have from 1 to {MAX_BYTES} bytes in UTF-8")
    least = MIN_LENGTH_WITH_FACTOR if has_factor else MIN_LENGTH
    if len(form.reveal_text()) < least:
        shorter = "" if has_factor else f" ({MIN_LENGTH_WITH_FACTOR} with a second factor)"
        raise WeakPassword(f"it must have at least {least} characters{shorter}")
    score = MIN_SCORE_WITH_FACTOR if has_factor else MIN_SCORE
    reasons = quietly("judging a password", lambda: tuple(_reasons(form, name, least, score)))
    if reasons:
        raise WeakPassword(*reasons)


def _reasons(form: Secret, name: str, least: int, score: int) -> Iterator[str]:
    """Say everything that is wrong with a password."""
    text = form.reveal_text()
    words = [*_words(name), *PRODUCT_WORDS]
    if len(set(text)) < _LEAST_DIFFERENT:
        yield f"it has fewer than {_LEAST_DIFFERENT} different characters"
    elif _repeats(text):
        yield "it repeats one part"
    elif len(_without(text, words)) * 2 < least:
        yield "most of it is the user's name or words that belong to trading"
    elif _is_common(text):
        yield "it is on a list of common passwords"
    elif is_known_phrase(text.casefold()):
        yield "it is a phrase that everybody knows"
    else:
        opinion = _zxcvbn(text, words)
        if opinion.score < score:
            judged = f"; judged by its first {_JUDGED} characters" if len(text) > _JUDGED else ""
            advice = "".join(f" {sentence.rstrip('.')}." for sentence in opinion.advice).rstrip(".")
            yield f"it is easy to guess{judged}{':' if advice else ''}{advice}"


def _words(name: str) -> Iterable[str]:
    """A user's name, and the parts of it."""
    parts = "".join(c if c.isalnum() else " " for c in name.casefold()).split()
    return {name.casefold(), *parts}


def _without(text: str, words: Iterable[str]) -> str:
    """What is left of a text without some words."""
    left = text.casefold()
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= _SHORTEST_WORD:
            left = left.replace(word, "")
    return left


def _repeats(text: str) -> bool:
    """Whether a text is one part, twice or more: it is then found again in itself, shifted."""
    return (text + text).find(text, 1) < len(text)


def _is_common(text: str) -> bool:
    """Whether a text is a listed password, bare or with digits and signs put around it."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]

    folded = text.casefold()
    core = folded.strip("0123456789 !?.,;:-_#*+$%&/()=@'\"")
    listed = FREQUENCY_LISTS["passwords"]
    return folded in listed or (len(core) >= _SHORTEST_WORD and core in listed)


def _zxcvbn(text: str, words: Iterable[str]) -> _Opinion:
    from zxcvbn import matching, zxcvbn  # type: ignore[import-untyped]

    # It keeps what it is told of the context in a table that all threads share.
    with _ZXCVBN:
        try:
            found = zxcvbn(text[:_JUDGED], user_inputs=list(words))
        finally:
            matching.RANKED_DICTIONARIES.pop("user_inputs", None)
    feedback = found["feedback"]
    advice = (feedback["warning"], *feedback["suggestions"])
    return _Opinion(found["score"], tuple(sentence for sentence in advice if sentence))
