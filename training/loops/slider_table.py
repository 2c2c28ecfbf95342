"""All sliders, in the order of the page."""

from training.loops.slider import Slider
from training.loops.sliders_of_face import FACE
from training.loops.sliders_of_features import FEATURES
from training.loops.sliders_of_look import LOOK

SLIDERS: tuple[Slider, ...] = (*FACE, *FEATURES, *LOOK)
