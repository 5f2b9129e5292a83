"""Signing: what is signed is what is sent, to the byte, as the venue file describes it."""
