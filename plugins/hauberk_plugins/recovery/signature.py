"""A text with one signature: a signed note, written in one way only."""

from __future__ import annotations

from typing import Final

from hauberk_plugins.notes.note import Note, NoteError, SignerKey, VerifierKey, read_note, sign_note

SEED_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64


class NotSigned(Exception):
    """A text is no note, or its signature does not hold; says why."""


def signed(text: str, key: SignerKey) -> str:
    """Return a text with the signature under it.

    Args:
        text: Ends in a newline.
        key: Who signs.
    """
    return sign_note(text, [key])


def signer_of(note: str) -> tuple[str, bytes]:
    """Return name and key id of who says to have signed a note.

    Raises:
        NotSigned: It is none.
    """
    ((name, key_id, _),) = _read(note).signatures
    return name, key_id


def text_of(note: str, key: VerifierKey | None) -> str:
    """Return the text of a note.

    Args:
        note: The note.
        key: Who must have signed it; with `None`, anybody may have, and nothing is vouched for.

    Raises:
        NotSigned: It is none, or that key did not sign it.
    """
    found = _read(note)
    if key is None:
        return found.text
    ((name, _, _),) = found.signatures
    try:
        is_theirs = bool(found.signed_by([key]))
    except NoteError:
        raise NotSigned("its signature does not hold: it was changed, or forged") from None
    if not is_theirs:
        raise NotSigned(f"the key that signed it is {name}'s, and not the one known here")
    return found.text


def _read(note: str) -> Note:
    if "\n\n" not in note:
        raise NotSigned("it has no signature: it was cut off, or is none of Hauberk's")
    try:
        found = read_note(note, limit=len(note))  # whoever read the file has looked at its size
    except NoteError:
        found = None
    if found is None or [len(one) for _, _, one in found.signatures] != [_SIGNATURE_BYTES]:
        raise NotSigned("what stands under it is no signature: it was cut off, or changed")
    return found
