"""The sliders: which label each moves, at which codes, how far, and what must stay where it is."""

from dataclasses import dataclass, field

from training.data.label import NAMES

# Labels that describe an expression or a pose, not a person: what comes with them in photographs must not.
EXPRESSION = ("smile", "squint", "pucker", "mouth_open", "mouth_width", "lips", "eyes_open", "brows", "frown")


@dataclass(frozen=True)
class Slider:
    """One direction. `target`: the label it moves; `step`: by how much (the label's unit) at slider value 1, as the
    regression says; `codes`: first and last (excluded) that it moves; `free`: labels that may go with it. The rest
    of the labels is held, and so are the descriptor's and the rim's components, each group with its weight: 0 lets
    go, 10 lets hardly anything through (`direction_fit.holding_step`).
    """

    name: str
    label: str
    low: str
    high: str
    target: str
    step: float
    codes: tuple[int, int]
    free: tuple[str, ...] = ()
    labels_held: float = 4.0
    identity_held: float = 2.0
    surround_held: float = 2.0
    unit: float = field(default=1.0)  # a correction of `step` from rendered faces

    def __post_init__(self) -> None:
        unknown = {self.target, *self.free} - set(NAMES)
        if unknown:
            raise ValueError(f"Slider {self.name} speaks of labels that are none: {', '.join(sorted(unknown))}")
        if not 0 <= self.codes[0] < self.codes[1]:
            raise ValueError(f"Slider {self.name} moves the codes {self.codes[0]} up to {self.codes[1]}: none")


SLIDERS = (
    Slider("smile", "Smile", "serious", "smiling", "smile", 0.3, (2, 7), ("squint", "mouth_width", "pucker", "lips", "chin_shadow", "mouth_open", "nose_width")),
    Slider("mouth_open", "Mouth", "closed", "open", "mouth_open", 0.035, (3, 8), ("lips", "mouth_width", "pucker", "nose_length", "chin_shadow", "jaw_width")),
    Slider("eyes_open", "Eyes", "narrow", "wide", "eyes_open", 0.035, (3, 9), ("squint", "gaze_up", "frown")),
    Slider("yaw", "Turn", "left", "right", "yaw", 10.0, (0, 5), ("gaze", "side_light", "hair_area", "hair_length", "roll", "face_width", "jaw_width", "nose_width", "bangs"), identity_held=0.3, surround_held=0.3),
    Slider("pitch", "Nod", "down", "up", "pitch", 6.0, (0, 8), ("gaze_up", "hair_area", "bangs", "chin_shadow", "nose_length", "brows", "face_width"), identity_held=0.5, surround_held=0.5),
    Slider("age", "Age", "younger", "older", "age", 10.0, (0, 10), ("skin_red", "skin_yellow", "makeup", "hair_brightness", "hair_yellow", "hair_red", "frown", "face_width", "jaw_width", "nose_width", "lips"), identity_held=0.3),
    Slider("gender", "Gender", "masculine", "feminine", "female", 4.0, (0, 10), ("beard", "makeup", "hair_length", "hair_area", "jaw_width", "face_width", "brows", "nose_width", "chin_shadow", "lips"), identity_held=0.3),
    Slider("glasses", "Glasses", "without", "with", "glasses", 0.35, (0, 6), ("squint", "frown", "eyes_open"), identity_held=0.5),
    Slider("beard", "Beard", "shaven", "bearded", "beard", 0.12, (3, 11), ("chin_shadow", "makeup", "lips"), identity_held=0.5),
    Slider("hair_brightness", "Hair", "dark", "fair", "hair_brightness", 12.0, (8, 16), ("hair_red", "hair_yellow")),
    Slider("skin_brightness", "Skin", "darker", "lighter", "skin_brightness", 7.0, (7, 16), ("skin_red", "skin_yellow", "chin_shadow")),
    Slider("face_width", "Face width", "narrow", "wide", "face_width", 0.05, (0, 5), ("jaw_width", "hair_area", "nose_width"), identity_held=0.5),
    Slider("brows", "Brows", "lowered", "raised", "brows", 0.022, (2, 8), ("frown", "gaze_up")),
    Slider("lips", "Lips", "thin", "full", "lips", 0.018, (4, 9), ("pucker", "makeup", "mouth_width")),
    Slider("gaze", "Gaze", "left", "right", "gaze", 0.08, (2, 8), ("gaze_up",)),
    Slider("nose_width", "Nose", "narrow", "broad", "nose_width", 0.025, (2, 9), ("nose_length",)),
    Slider("bangs", "Fringe", "none", "full", "bangs", 0.25, (0, 6), ("hair_area", "hair_length"), surround_held=1.0),
    Slider("side_light", "Light", "from the left", "from the right", "side_light", 12.0, (0, 9), ()),
)  # fmt: skip
