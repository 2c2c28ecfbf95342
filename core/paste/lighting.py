"""Light that faces are seldom seen in: the model sees the face in good light, the photo's comes back later.

A model that inverts a dark or a red face as it is finds a worse one, and what an edit adds to it has a light
of its own. So codes are found of the crop in good light, and what is made of them is multiplied by what the
photo's light has of each channel, in linear light (von Kries). Ordinary light is none of this module's
business: there it says None, and nothing is computed.

What is ordinary was looked up in 4000 published photos: no brightest hundredth is below 140, 99 of 100 faces
have a colour in the box below, and those beyond stand under coloured lamps.
"""

from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.paste.detail import smooth_step

# The crop is looked at in a copy of this side.
SIDE = 128
# Levels of the brightest hundredth: from the first on a photo is ordinary, up to the second plainly dark;
# what it is brightened to.
ORDINARY, DARK, LIT = 140.0, 115.0, 220.0
# Of faces in linear light: log(green / red), log(blue / green). What is ordinary, and what is most so.
COLOURS, USUAL = ((-1.6, 0.05), (-1.6, 0.35)), (-0.68, -0.34)
# How bright red, green and blue are in linear light (ITU-R BT.709), and in the median face.
BRIGHTNESS, BRIGHT = np.array((0.2126, 0.7152, 0.0722)), 0.27
# That far beyond the box a colour is plainly the lamp's.
BEYOND = 0.4
# Linear light that no channel is taken to be below: two levels.
LEAST = 6e-4


class Light(NamedTuple):
    """What the photo has of good light: factors in linear light, above 0."""

    red: float
    green: float
    blue: float


def light_of(crop: np.ndarray, region: np.ndarray) -> Light | None:
    """Of (S, S, 3) uint8 and where its face is, (S, S) in [0, 1]; None: ordinary."""
    small, inside = (cv2.resize(a, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for a in (crop, region))
    if not (inside > 0.5).any():
        return None
    bright = float(np.percentile(small.max(axis=2), 99))
    dark = float(smooth_step(np.asarray((ORDINARY - bright) / (ORDINARY - DARK))))
    exposure = (_linear(max(bright, 1.0)) / _linear(LIT)) ** dark
    face = _colour(torch.tensor(small).permute(2, 0, 1)[None] / 127.5 - 1, inside)
    gains = exposure * _lamp(face, exposure)
    return None if (gains == 1).all() else Light(*gains.tolist())


def _lamp(face: np.ndarray, exposure: float) -> np.ndarray:
    """(3,): the lamp's colour by the face's (3,), in linear light, ordinary: 1; so strong that in such an
    exposure the face would be as bright as most."""
    seen = np.diff(np.log(face))
    beyond = max(max(low - value, value - high) for value, (low, high) in zip(seen, COLOURS, strict=True))
    usual = np.exp(np.cumsum((0.0, *USUAL)))
    lamp = face / usual / exposure
    lamp *= BRIGHTNESS @ usual / BRIGHT
    found: np.ndarray = lamp ** float(smooth_step(np.asarray(beyond / BEYOND)))
    return found


def light_on(crop: np.ndarray, region: np.ndarray, base: Tensor) -> Light | None:
    """The photo's light, if the model's picture (1, 3, S, S), [-1, 1], of it is in a good one.

    It is not where the code was found in the photo's own, as earlier versions did: then None.
    """
    light = light_of(crop, region)
    if light is None:
        return None
    inside = cv2.resize(region, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    photo = torch.tensor(crop).permute(2, 0, 1)[None] / 127.5 - 1
    found = np.log(_colour(photo, inside) / _colour(base, inside))
    return light if np.abs(found - np.log(light)).sum() < np.abs(found).sum() else None


def in_good_light(picture: np.ndarray, light: Light | None) -> np.ndarray:
    """(H, W, 3) uint8 of that light as it would be in a good one; itself where that is ordinary."""
    if light is None:
        return picture
    levels = _linear(np.arange(256.0))[:, None] / np.array(light)
    return cv2.LUT(picture, np.rint(_encoded(levels).clip(0, 255)).astype(np.uint8)[None])


def in_photos_light(pictures: Tensor, light: Light | None) -> Tensor:
    """(N, 3, H, W), nominally [-1, 1], from good light into that; themselves where it is ordinary."""
    if light is None:
        return pictures
    gains = torch.tensor(light, device=pictures.device).view(1, 3, 1, 1)
    value = (pictures + 1) / 2
    bright = ((value.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    linear = gains * torch.where(value <= 0.04045, value / 12.92, bright)
    curved = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return 2 * torch.where(linear <= 0.0031308, 12.92 * linear, curved) - 1


def _colour(picture: Tensor, inside: np.ndarray) -> np.ndarray:
    """(3,): the median of a picture (1, 3, S, S), [-1, 1], in the face (SIDE, SIDE), in linear light."""
    small = F.interpolate(picture.float().cpu(), size=(SIDE, SIDE), mode="area")[0].permute(1, 2, 0).numpy()
    levels = np.median(small[inside > 0.5], axis=0) * 127.5 + 127.5
    return np.maximum(_linear(np.asarray(levels, np.float64)), LEAST)


def _linear(levels: np.ndarray | float) -> np.ndarray:
    """sRGB, [0, 255], to linear light, [0, 1] (IEC 61966-2-1)."""
    value = np.asarray(levels, np.float64).clip(0, None) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _encoded(linear: np.ndarray) -> np.ndarray:
    curved = 1.055 * linear.clip(0.0031308, None) ** (1 / 2.4) - 0.055
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, curved)
