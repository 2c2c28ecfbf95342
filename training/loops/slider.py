"""What a slider of the fixed directions is: a label, codes, a step, and what must stay where it is."""

from dataclasses import dataclass

from training.data.label import NAMES


@dataclass(frozen=True)
class Slider:
    """One direction. `target`: the label it moves; `step`: by how much (in the label's unit) at slider value
    1, as the regression says, corrected so that rendered faces look a natural step apart; `codes`: the first
    and last (excluded) that it moves; `also`: labels that move with it, each as far as it, in deviations;
    `free`: labels that may go with it; `strict`: labels held ten times as firmly.

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
    also: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    strict: tuple[str, ...] = ()
    group: str = ""
    labels_held: float = 4.0
    identity_held: float = 2.0
    surround_held: float = 4.0

    def __post_init__(self) -> None:
        unknown = {self.target, *self.also, *self.free, *self.strict} - set(NAMES)
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
        if label in (self.target, *self.also, *self.free):
            return 0.0
        return self.labels_held * (10.0 if label in self.strict else 1.0)
