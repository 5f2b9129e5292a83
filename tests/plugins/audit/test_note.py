"""Signed notes and checkpoints: published examples, and every way to spoil one."""

from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.secret import Secret
from hauberk_plugins.audit.checkpoint import Checkpoint
from hauberk_plugins.notes.note import NoteError, SignerKey, VerifierKey, read_note, sign_note

#: From the documentation of Go's golang.org/x/mod/sumdb/note.
PETER = VerifierKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
SEED = Secret(b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:])
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
PUBLISHED = TEXT + (
    "\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKv"
    "qfqdngotpRZb6KE6RyyBwJnAM=\n"
)

SIGNER = SignerKey("log.example", Secret(bytes(range(32))))
OTHER = SignerKey("log.example", Secret(bytes(32)))
texts = st.text(st.characters(exclude_categories=["Cc", "Cs"])).map(lambda text: text + "\n")


def test_the_published_note_is_read_and_verified():
    assert sign_note(TEXT, [SignerKey("PeterNeumann", SEED)]) == PUBLISHED
    note = read_note(PUBLISHED)
    assert note.signed_by([PETER]) == (PETER,)
    assert note.text == TEXT
    assert str(VerifierKey.parse(str(PETER))) == str(PETER)


@given(texts)
def test_what_is_signed_is_read_back(text):
    note = read_note(sign_note(text, [SIGNER, OTHER]))
    assert note.text == text
    assert note.signed_by([SIGNER.verifier]) == (SIGNER.verifier,)
    assert note.signed_by([OTHER.verifier, PETER]) == (OTHER.verifier,)


@given(st.data())
def test_no_character_of_a_note_can_be_changed(data):
    content = sign_note("log\n12\nroot\n", [SIGNER])
    at = data.draw(st.integers(0, len(content) - 1))
    char = data.draw(st.characters(exclude_categories=["Cs"]))
    changed = content[:at] + char + content[at + 1 :]
    try:
        signed = read_note(changed).signed_by([SIGNER.verifier])
    except NoteError:
        return
    assert not signed or changed == content


@pytest.mark.parametrize(
    "content",
    ["", "\n", "text\n", "text\n\n", "text\n\nsigned\n", PUBLISHED[:-1], PUBLISHED + "\n",
     PUBLISHED.replace("\u2014", "-"), PUBLISHED.replace("x08go", "x08g"),
     "a\rb\n\n\u2014 a AAAAAAA=\n", "x" * 70_000],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_note_is_refused(content):
    with pytest.raises(NoteError):
        read_note(content)


@pytest.mark.parametrize(
    "text",
    ["", "a+b", "a+00000000+AAAA", str(PETER).replace("c74f", "c74e"), str(PETER) + "A",
     str(PETER).replace("Peter", "Peter "), str(PETER).removeprefix("PeterNeumann")],
)  # fmt: skip
def test_what_is_no_verifiers_key_is_refused(text):
    with pytest.raises(NoteError):
        VerifierKey.parse(text)


def test_a_signing_key_shows_nothing_of_itself():
    assert repr(SIGNER) == "<signing key log.example>"


ROOT = "A" * 43 + "="
roots = st.binary(min_size=32, max_size=32)
lines = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)


@given(lines, st.integers(0, 1 << 62), roots, st.lists(lines, max_size=2))
def test_a_checkpoint_is_read_back(origin, size, root, extra):
    made = Checkpoint(origin, size, root, tuple(extra))
    assert Checkpoint.parse(made.text) == made


@pytest.mark.parametrize(
    "text",
    ["", "log\n", "log\n1\n", "log\n1\nAAAA\n", f"log\n01\n{ROOT}\n", f"log\n-1\n{ROOT}\n",
     f"log\n1\n{ROOT[:-2]}B=\n", f"\n1\n{ROOT}\n", f"log\n1\n{ROOT}", f"log\n1\n{ROOT}\n\n",
     f"log\n9999999999999999999\n{ROOT}\n"],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(NoteError):
        Checkpoint.parse(text)
