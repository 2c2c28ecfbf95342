"""The sliders: which label each moves, at which codes, how far, and what must stay where it is."""

from dataclasses import dataclass

from training.data.label import NAMES


@dataclass(frozen=True)
class Slider:
    """One direction. `target`: the label it moves; `step`: by how much (in the label's unit) at slider value
    1, as the regression says, corrected so that rendered faces look a natural step apart; `codes`: the first
    and last (excluded) that it moves; `free`: labels that may go with it; `strict`: labels held ten times as
    firmly.

    All other labels are held, the descriptor's components and the rim's too, each group with its weight: 0
    lets go, 10 lets hardly anything through (`direction_fit.holding_step`).
    """

    name: str
    label: str
    low: str
    high: str
    target: str
    step: float
    codes: tuple[int, int]
    free: tuple[str, ...] = ()
    strict: tuple[str, ...] = ()
    group: str = ""
    labels_held: float = 4.0
    identity_held: float = 2.0
    surround_held: float = 4.0

    def __post_init__(self) -> None:
        unknown = {self.target, *self.free, *self.strict} - set(NAMES)
        if unknown:
            raise ValueError(
                f"Slider {self.name} speaks of labels that are none: {', '.join(sorted(unknown))}"
            )
        if not 0 <= self.codes[0] < self.codes[1]:
            raise ValueError(
                f"Slider {self.name} moves the codes {self.codes[0]} up to {self.codes[1]}: none"
            )

    def weight(self, label: str) -> float:
        """How firmly one label is held."""
        if label == self.target or label in self.free:
            return 0.0
        return self.labels_held * (10.0 if label in self.strict else 1.0)


# The head's shape in the picture, which turning it changes.
TURNED = ("roll", "face_width", "jaw_width", "nose_width", "hair_area", "hair_length", "bangs")

SLIDERS = (
    Slider(
        "smile",
        "Smile",
        "serious",
        "smiling",
        target="smile",
        step=0.25,
        codes=(2, 7),
        group="Expression",
        free=("squint", "mouth_width", "pucker", "lips", "chin_shadow", "nose_width"),
        strict=("glasses", "female", "age"),
        labels_held=2.0,
    ),
    Slider(
        "mouth_open",
        "Mouth",
        "closed",
        "open",
        target="mouth_open",
        step=0.035,
        codes=(3, 8),
        group="Expression",
        free=("lips", "mouth_width", "pucker", "nose_length", "chin_shadow", "jaw_width"),
        strict=("smile",),
    ),
    Slider(
        "eyes_open",
        "Eyes",
        "narrow",
        "wide",
        target="eyes_open",
        step=0.02,
        codes=(3, 9),
        group="Expression",
        free=("squint", "frown"),
        strict=("age", "gaze_up"),
        surround_held=10.0,
    ),
    Slider(
        "yaw",
        "Turn",
        "left",
        "right",
        target="yaw",
        step=8.0,
        codes=(0, 5),
        group="Pose",
        free=(*TURNED, "gaze", "side_light"),
        strict=("glasses",),
        identity_held=0.3,
        surround_held=0.5,
    ),
    Slider(
        "pitch",
        "Nod",
        "down",
        "up",
        target="pitch",
        step=4.0,
        codes=(0, 7),
        group="Pose",
        free=(*TURNED, "gaze_up", "chin_shadow", "nose_length"),
        strict=("glasses", "female", "age"),
        identity_held=0.5,
        surround_held=1.0,
    ),
    Slider(
        "age",
        "Age",
        "younger",
        "older",
        target="age",
        step=0.34,  # of log(1 + years)
        codes=(2, 10),
        group="Person",
        free=(
            "skin_red",
            "skin_yellow",
            "makeup",
            "hair_brightness",
            "hair_yellow",
            "hair_red",
            "frown",
            "lips",
        ),
        strict=("glasses", "eye_shadow", "female", "hat", "bangs"),
        identity_held=0.4,
    ),
    Slider(
        "gender",
        "Gender",
        "masculine",
        "feminine",
        target="female",
        step=4.6,
        codes=(0, 10),
        group="Person",
        free=("beard", "makeup", "hair_length", "hair_area", "jaw_width", "brows", "chin_shadow", "lips"),
        strict=("glasses", "age", "hat"),
        identity_held=0.3,
    ),
    Slider(
        "glasses",
        "Glasses",
        "without",
        "with",
        target="glasses",
        step=0.23,
        codes=(0, 6),
        group="Things",
        strict=("eye_shadow", "hat", "age", "female", "hair_area"),
        identity_held=2.0,
    ),
    Slider(
        "beard",
        "Beard",
        "shaven",
        "bearded",
        target="beard",
        step=0.09,
        codes=(3, 11),
        group="Hair",
        free=("chin_shadow", "makeup"),
        strict=(
            "female",
            "age",
            "glasses",
            "hair_length",
            "eye_shadow",
            "hair_brightness",
            "skin_brightness",
        ),
        identity_held=1.0,
    ),
    Slider(
        "hair_brightness",
        "Hair",
        "dark",
        "fair",
        target="hair_brightness",
        step=11.0,
        codes=(5, 13),
        group="Hair",
        free=("hair_red", "hair_yellow"),
        strict=("skin_brightness", "skin_yellow", "beard", "eye_shadow"),
        surround_held=10.0,
    ),
    Slider(
        "skin_brightness",
        "Skin",
        "darker",
        "lighter",
        target="skin_brightness",
        step=7.0,
        codes=(7, 16),
        group="Light",
        free=("skin_red", "skin_yellow", "chin_shadow"),
        strict=("hair_brightness",),
        surround_held=10.0,
    ),
    Slider(
        "face_width",
        "Face width",
        "narrow",
        "wide",
        target="face_width",
        step=0.045,
        codes=(0, 5),
        group="Person",
        free=("jaw_width", "hair_area", "nose_width"),
        strict=("pitch", "age", "glasses"),
        identity_held=0.5,
    ),
    Slider(
        "brows",
        "Brows",
        "lowered",
        "raised",
        target="brows",
        step=0.015,
        codes=(2, 8),
        group="Features",
        free=("frown",),
        strict=("eyes_open",),
    ),
    Slider(
        "lips",
        "Lips",
        "thin",
        "full",
        target="lips",
        step=0.014,
        codes=(4, 9),
        group="Features",
        free=("pucker", "makeup", "mouth_width"),
    ),
    Slider(
        "gaze",
        "Gaze",
        "left",
        "right",
        target="gaze",
        step=0.045,
        codes=(2, 8),
        group="Expression",
        strict=("yaw",),
    ),
    Slider(
        "nose_width",
        "Nose",
        "narrow",
        "broad",
        target="nose_width",
        step=0.01,
        codes=(2, 7),
        group="Features",
        free=("nose_length",),
        strict=("smile", "yaw", "eyes_open", "mouth_width", "squint"),
    ),
    Slider(
        "bangs",
        "Fringe",
        "none",
        "full",
        target="bangs",
        step=0.09,
        codes=(0, 6),
        group="Hair",
        free=("hair_area", "hair_length"),
        strict=("hat", "age", "female", "glasses", "eye_shadow"),
        surround_held=2.0,
    ),
    Slider(
        "side_light",
        "Light",
        "from the left",
        "from the right",
        target="side_light",
        step=16.5,
        codes=(0, 9),
        group="Light",
        strict=("yaw",),
    ),
)
