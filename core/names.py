"""Names for files to be saved, made of whatever somebody called a photo."""

import re
import unicodedata
from pathlib import Path

MAX_BYTES = 80  # of UTF-8; file systems take 255, and our own words come after
NAMELESS = "portrait"

# What Windows, the strictest, keeps for itself; other systems' signs are among them.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


# What the page puts before the name of a file that it sends (app/contact.js).
_MARK = re.compile(r"[0-9a-f]{12}-(?=.)")


def uploaded_stem(path: Path) -> str:
    """What a visitor called a file that the page sent."""
    mark = _MARK.match(path.stem)
    return path.stem[mark.end() :] if mark else path.stem


def safe_stem(name: str) -> str:
    """A file's name without its ending, for every file system: never empty, hidden, an option or a device.

    Letters of all scripts stay; what a name may not hold becomes "-", and what cannot be seen goes.
    """
    text = " ".join(unicodedata.normalize("NFC", _FORBIDDEN.sub("-", name)).split())
    # C: control, direction and formatting signs, surrogates, what is not assigned.
    seen = "".join(sign for sign in text if not unicodedata.category(sign).startswith("C"))
    short = seen.lstrip(" .-~").encode()[:MAX_BYTES].decode(errors="ignore")
    stem = short.rstrip(" .-")
    return f"{NAMELESS}-{stem}" if _DEVICES.fullmatch(stem) else stem or NAMELESS
