"""Whose pixels are these? A guess, by colour, of where the person is: the background stays the photo's.

A paste needs no outline to the pixel: it needs to know that the wall is not hair. GrabCut (Rother, Kolmogorov
and Blake 2004) knows that from two mixtures of colours and a cut along the picture's own edges. It starts
from where an upright crop has face and neck, and from what has the colour of the hair above the brow rather
than of the corners.
"""

import cv2
import numpy as np

# The cut is made at this side: a few milliseconds a picture.
SIDE = 128
ROUNDS = 2
# Where it starts, in units of the face's width: what is surely face lies that far inside the region; hair up
# to that far from the middle of the brow, its colour learnt on the crown, that far on either side of the
# middle; the neck that far on either side too, from a bit above the chin.
SURE, HAIR, CROWN, NECK, CHIN = 0.2, 0.62, 0.25, 0.22, 0.1
# Squares that the rest is learnt from: their side, and how many stand along the left and the right. One is a
# wall whose colours deviate by less than that, and whose mean lies that far from the hair's (levels).
EDGE, SQUARES = 12, 5
EVEN, UNLIKE = 8.0, 20.0
# Standard deviation (levels) that no colour's spread is below.
NOISE = 8.0
# The guess ends that much farther out, in pixels of SIDE: an outline belongs to what it encloses.
MARGIN = 1


def person(image: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE) float32 in [0, 1]: 1 on face, hair and neck, 0 on background (and mostly on clothes).

    image: (S, S, 3) in 0..255, an aligned crop; region: (S, S) in [0, 1], `compositing.face_mask`.
    Without a face in the region, and where it fills the picture, everything is the person.
    """
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).clip(0, 255).astype(np.uint8)
    marks = _start(small, cv2.resize(region, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
    if marks is None:
        return np.ones((SIDE, SIDE), np.float32)
    cv2.setRNGSeed(0)  # its mixtures begin with k-means: equal pictures, equal guesses
    cv2.grabCut(
        small, marks, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK
    )
    inside: np.ndarray = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    # What is not joined to the face is no part of it, whatever its colour.
    parts = cv2.connectedComponents(inside)[1]
    inside &= np.isin(parts, parts[marks == cv2.GC_FGD]).astype(np.uint8)
    inside = cv2.dilate(inside, np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8))
    return cv2.GaussianBlur(inside.astype(np.float32), (0, 0), MARGIN)


def _start(image: np.ndarray, region: np.ndarray) -> np.ndarray | None:
    """(SIDE, SIDE) uint8, GrabCut's marks: person, probably person, probably not; None: no start is found."""
    face = region > 0.5
    if not face.any():
        return None
    rows, columns = np.flatnonzero(face.any(1)), np.flatnonzero(face.any(0))
    width, middle = columns[-1] - columns[0], (columns[0] + columns[-1]) / 2
    y, x = np.mgrid[:SIDE, :SIDE]
    brow = rows[0] + width / 2
    margin = 2 * round(SURE * width) + 1
    sure = cv2.erode((region > 0.9).astype(np.uint8), np.ones((margin, margin)), borderValue=0) > 0
    hair = (y < brow) & (np.hypot(x - middle, y - brow) < HAIR * width) & (region < 0.1)
    neck = (y > rows[-1] - CHIN * width) & (np.abs(x - middle) < NECK * width)
    crown = hair & (np.abs(x - middle) < CROWN * width)
    if not sure.any() or not crown.any():
        return None
    beyond = _beyond(image, crown)
    ours = np.maximum(_likelihood(image, image[crown]), _likelihood(image, image[sure]))
    theirs = np.max([_likelihood(image, colours) for colours in beyond], axis=0)
    marks = np.where(ours > theirs, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    marks[hair | neck | (region > 0.9)] = cv2.GC_PR_FGD
    marks[sure] = cv2.GC_FGD
    # A cut needs two sides: where nothing is unlike the person, there is none to be found.
    return marks if (marks == cv2.GC_PR_BGD).any() else None


def _beyond(image: np.ndarray, crown: np.ndarray) -> list[np.ndarray]:
    """(EDGE^2, 3) colours of squares along the left and right side that show background, or clothes below.

    The corners do; between them hair may hang, but a square that is even and unlike the hair is wall.
    """
    every = [
        image[top : top + EDGE, left : left + EDGE].reshape(-1, 3)
        for top in np.linspace(0, SIDE - EDGE, SQUARES).astype(int)
        for left in (0, SIDE - EDGE)
    ]
    hair = image[crown].mean(0)
    walls = [
        colours
        for colours in every[2:-2]
        if colours.std(0).max() < EVEN and np.linalg.norm(colours.mean(0) - hair) > UNLIKE
    ]
    return every[:2] + walls + every[-2:]


def _likelihood(image: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE): twice the log likelihood by the colours' (N, 3) normal distribution, up to a constant."""
    spread = np.cov(colours.T, bias=True) + NOISE**2 * np.eye(3)
    away = image - colours.mean(0)
    distance: np.ndarray = ((away @ np.linalg.inv(spread)) * away).sum(2)  # Mahalanobis', squared
    return -distance - np.log(np.linalg.det(spread))
