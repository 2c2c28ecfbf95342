"""What a pixel of a portrait can be of, as far as an outline goes."""

import enum


class Kind(enum.IntEnum):
    """Numbers in (S, S) uint8 pictures of kinds. SKIN is all of face and neck, and what hangs on them."""

    BACKGROUND = 0
    CLOTHES = 1
    SKIN = 2
    HAIR = 3
    HAT = 4
    GLASSES = 5


# Kinds from here on are the person.
PERSON = Kind.SKIN
