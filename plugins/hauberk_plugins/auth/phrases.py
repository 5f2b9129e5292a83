"""Phrases that everybody knows, and so every attacker tries: long enough, and no passwords.

Of each the letters alone, folded; what is written between them, and in which case, does not matter.
"""

from __future__ import annotations

from typing import Final

#: Letters that may stand beside a phrase without making it anything else.
_FEW: Final = 8
#: Digits and signs that stand for letters.
_LEET: Final = str.maketrans("0134578@$!", "oieastbasi")

#: Examples of how passphrases are made, then what people are told to say, then sayings and lines of
#: books, songs, films and memes.
PHRASES: Final = frozenset(
    "".join(c for c in line if c.isalpha())
    for line in """\
correct horse battery staple
correct battery horse staple
battery horse staple correct
correct horse battery
troubador troubador
cleft cam synod lacy yr wok
sick penguin butterfly kite
this is my password
this is a long password
this is a secure password
this is a strong password
this is not a password
this is my passphrase
my very secure password
my super secret password
my secret passphrase
a very long password
a very strong password
never gonna guess this
you will never guess this
you shall not pass
let me in please
let me in right now
open sesame
change me please
please change me now
password password
administrator
super user
the quick brown fox jumps
the quick brown fox jumps over the lazy dog
quick brown fox
lorem ipsum dolor sit amet
pack my box with five dozen liquor jugs
to be or not to be
to be or not to be that is the question
et tu brute
cogito ergo sum
carpe diem
veni vidi vici
in god we trust
our father who art in heaven
the lord is my shepherd
for god so loved the world
in the beginning was the word
jesus is my savior
jesus loves me
once upon a time
it was the best of times
call me ishmael
all happy families are alike
it was a bright cold day in april
big brother is watching you
may the force be with you
i am your father
luke i am your father
live long and prosper
beam me up scotty
winter is coming
you know nothing jon snow
valar morghulis
one ring to rule them all
not all those who wander are lost
my precious
i solemnly swear that i am up to no good
expecto patronum
the answer is forty two
so long and thanks for all the fish
houston we have a problem
i will be back
hasta la vista baby
say hello to my little friend
here is looking at you kid
frankly my dear i do not give a damn
there is no place like home
toto i have a feeling we are not in kansas anymore
elementary my dear watson
just keep swimming
hakuna matata
to infinity and beyond
let it go let it go
never gonna give you up
we will rock you
we are the champions
bohemian rhapsody
stairway to heaven
hotel california
highway to hell
smells like teen spirit
i want to hold your hand
all you need is love
imagine all the people
twinkle twinkle little star
mary had a little lamb
row row row your boat
happy birthday to you
all your base are belong to us
the cake is a lie
it is over nine thousand
i love you so much
i love my family
i love my mother
you are my sunshine
money money money
show me the money
to the moon
diamond hands
hold on for dear life
not your keys not your coins
buy low sell high
buy the dip
greed is good
time is money
rise and shine
better late than never
practice makes perfect
an apple a day keeps the doctor away
one two three four five
one two three four five six
one two three four
abcdefghijklmnopqrstuvwxyz
""".splitlines()
)


def is_known_phrase(folded: str) -> bool:
    """Whether a text is a phrase that everybody knows, with little put around it.

    Args:
        folded: The text, its case folded.
    """
    return any(map(_is_known, {_letters(folded), _letters(folded.translate(_LEET))}))


def _is_known(letters: str) -> bool:
    return any(
        phrase in letters and len(letters) - len(phrase) < _FEW
        for phrase in PHRASES
        if len(phrase) >= len(letters) - _FEW
    )


def _letters(text: str) -> str:
    return "".join(c for c in text if c.isalpha())
