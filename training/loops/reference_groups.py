"""What can be taken from another face: groups of labels, each taken together by a module of its own."""

from dataclasses import dataclass

from core.network_config import REGION_NAMES
from training.data.hair_shapes import TEXTURES
from training.data.label import NAMES

# Of the hair's outline: leading principal components.
OUTLINES = tuple(f"outline {i}" for i in range(12))
KNOWN = (*NAMES, *OUTLINES, *TEXTURES)

HAIR = (*OUTLINES, *TEXTURES, "hair_area", "hair_length", "bangs", "bald")
TINTS = (
    "hair_brightness",
    "hair_red",
    "hair_yellow",
    "hair_chroma",
    "black_hair",
    "blond_hair",
    "red_hair",
    "grey_hair",
)
MOUTH = ("mouth_open", "mouth_width", "lips", "pucker", "philtrum", "sad", "sneer")
TURNED = ("face_width", "jaw_width", "cheekbones", "nose_width", "gaze", "gaze_up", "roll", "wink")


@dataclass(frozen=True)
class Group:
    """One thing to take. `targets`: labels that go to the reference's; `codes`: the first and last (excluded)
    that it moves; `region`: where in a picture, "": everywhere (`core.network_config`); `free`: labels that
    may go with it, `strict`: those held eight times as firmly. All other labels are held, and so are the
    descriptor's components and the rim's, each with its weight."""

    name: str
    label: str
    targets: tuple[str, ...]
    codes: tuple[int, int]
    region: str = ""
    free: tuple[str, ...] = ()
    strict: tuple[str, ...] = ()
    identity_held: float = 1.0
    surround_held: float = 1.0

    def __post_init__(self) -> None:
        unknown = {*self.targets, *self.free, *self.strict} - set(KNOWN)
        if unknown:
            raise ValueError(f"{self.label} speaks of labels that are none: {', '.join(sorted(unknown))}")
        if not 0 <= self.codes[0] < self.codes[1]:
            raise ValueError(f"{self.label} moves the codes {self.codes[0]} up to {self.codes[1]}: none")
        if self.region not in ("", *REGION_NAMES):
            raise ValueError(f"{self.label} belongs to {self.region}, which is no region")

    def weight(self, label: str) -> float:
        """How firmly one label is held."""
        for kind, held in (("identity ", self.identity_held), ("surround ", self.surround_held)):
            if label.startswith(kind):
                return held
        if label in (*self.targets, *self.free):
            return 0.0
        return 8.0 if label in self.strict else 1.0


# In the order of the page.
GROUPS: tuple[Group, ...] = (
    Group(
        "hair_style",
        "Hair style",
        targets=HAIR,
        codes=(0, 8),
        region="hair",
        strict=("yaw", "pitch", "female", "age", "glasses", "beard", "moustache", "chin_shadow", "makeup"),
        surround_held=0.0,
    ),
    Group(
        "hair_colour",
        "Hair colour",
        targets=TINTS,
        codes=(5, 14),
        region="tint",
        strict=(
            "skin_brightness",
            "skin_red",
            "skin_yellow",
            "iris_brightness",
            "lip_red",
            "exposure",
            "age",
            "eyes_open",
            "female",
            "beard",
        ),
        identity_held=2.0,
    ),
    Group(
        "fringe",
        "Fringe",
        targets=("bangs",),
        codes=(0, 7),
        region="hair",
        free=HAIR,
        strict=("hair_length", "age", "female", "glasses", "yaw"),
        surround_held=0.5,
    ),
    Group(
        "beard",
        "Beard",
        targets=("beard", "moustache", "chin_shadow"),
        codes=(3, 11),
        region="jaw",
        free=("makeup", "eye_makeup", "lipstick"),
        strict=("female", "age", "hair_length", "skin_brightness", "hair_brightness"),
    ),
    Group(
        "smile",
        "Smile",
        targets=("smile",),
        codes=(2, 8),
        free=(*MOUTH, "squint", "nose_width", "chin_shadow", "eyes_open", "cheekbones"),
        strict=("age", "female", "yaw"),
    ),
    Group(
        "mouth",
        "Mouth",
        targets=("mouth_open", "mouth_width", "lips", "philtrum", "lip_red"),
        codes=(2, 9),
        region="mouth",
        free=("pucker", "sad", "sneer", "chin_shadow", "chin"),
        strict=("age", "female", "yaw"),
    ),
    Group(
        "eyes",
        "Eyes",
        targets=("eyes_open", "eye_distance", "eye_size", "squint", "iris_brightness", "iris_yellow"),
        codes=(2, 13),
        region="eyes",
        free=("surprise",),
        strict=("yaw", "age", "female", "brows"),
    ),
    Group(
        "brows",
        "Brows",
        targets=("brows", "brow_tilt", "brow_thickness", "frown"),
        codes=(2, 9),
        region="brows",
        free=("surprise",),
        strict=("eyes_open", "age", "female"),
    ),
    Group(
        "nose",
        "Nose",
        targets=("nose_width", "nose_length"),
        codes=(0, 8),
        region="nose",
        free=("philtrum",),
        strict=("yaw", "pitch", "smile", "eyes_open", "mouth_width"),
    ),
    Group(
        "age",
        "Age",
        targets=("age",),
        codes=(2, 11),
        free=("grey_hair", "hair_brightness", "hair_yellow", "hair_red", "skin_red", "skin_yellow", "lips"),
        strict=("female", "glasses", "yaw"),
        identity_held=0.3,
    ),
    Group(
        "make_up",
        "Make-up",
        targets=("makeup", "eye_makeup", "lipstick", "lip_red"),
        codes=(4, 14),
        region="skin",
        free=("eye_shadow", "lips"),
        strict=("female", "age", "hair_length", "skin_brightness", "beard"),
    ),
    Group(
        "glasses",
        "Glasses",
        targets=("glasses", "sunglasses", "eye_shadow"),
        codes=(0, 9),
        region="glasses",
        strict=("age", "female", "hat", "yaw"),
    ),
    Group(
        "face_shape",
        "Face shape",
        targets=("face_width", "jaw_width", "cheekbones", "chin"),
        codes=(0, 7),
        free=("hair_area", *OUTLINES),
        strict=("yaw", "pitch", "age", "mouth_open"),
        identity_held=0.5,
    ),
    Group(
        "skin",
        "Skin tone",
        targets=("skin_brightness", "skin_red", "skin_yellow"),
        codes=(7, 16),
        region="skin",
        free=("lip_red", "saturation", "warmth", "iris_brightness"),
        strict=("hair_brightness", "age"),
        surround_held=2.0,
    ),
    Group(
        "light",
        "Lighting",
        targets=("side_light", "exposure", "contrast", "warmth"),
        codes=(0, 16),
        free=("saturation", "skin_yellow", "skin_brightness", "hair_brightness", "eye_shadow", "chin_shadow"),
        strict=("yaw", "age", "female"),
        surround_held=0.0,
    ),
    Group(
        "pose",
        "Pose",
        targets=("yaw", "pitch"),
        codes=(0, 7),
        free=(*TURNED, *OUTLINES, "hair_area", "hair_length", "bangs", "side_light", "nose_length"),
        strict=("age", "female", "glasses", "smile"),
        identity_held=0.2,
        surround_held=0.2,
    ),
)
