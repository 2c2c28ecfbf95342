"""What is worn, hair, face hair and make-up, from masks and published attributes: ridge on a frozen trunk.

    python -m training.data.attribute_probe --faces faces256 --half 0 \\
        --trunk squeezenet --weights squeezenet11.safetensors --out labels.safetensors
    python -m training.data.attribute_probe --faces faces256 --half 1 \\
        --trunk alexnet --weights lpips_alex.safetensors --out judge.safetensors

Learns from one half of the training faces, by the SHA-256 of the person, and prints how well it tells the
test faces. The first makes labels for `training.loops.directions`; the second, of the other half and of
another trunk, judges with `training.judging.sliders`. The weights inherit the data's licence
(non-commercial) and are not shipped.
"""

import argparse
import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from training.data.mask_measures import mask_measures
from training.data.masks import read_mask
from training.data.trunks import TRUNKS, Trunk, grid_features, load_trunk

# Masks say these as `mask_measures` does, published attributes of FFHQ those; glasses and hats both.
FROM_MASKS = ("bangs", "hair_length", "bald", "brow_thickness", "earrings")
HAIR_COLOURS = {
    "black_hair": "hair_black",
    "blond_hair": "hair_blond",
    "red_hair": "hair_red",
    "grey_hair": "hair_gray",
}
ATTRIBUTES = (
    "glasses",
    "beard",
    "hat",
    "makeup",
    "female",
    "age",
    *FROM_MASKS,
    "sunglasses",
    "moustache",
    "eye_makeup",
    "lipstick",
    *HAIR_COLOURS,
)
RIDGE = 0.3  # of the mean diagonal of the features' Gram matrix


@dataclass(frozen=True)
class Probe:
    """Scores of features. `weights`: (F, A); `mean`: (F,) of the features; `offset`: (A,). A score is in the
    published attribute's own unit: 0 or 1 for glasses, hat, make-up and female, 0 to 1 for beard and fringe
    (the share of the forehead that hair covers), years for age."""

    attributes: tuple[str, ...]
    weights: np.ndarray
    mean: np.ndarray
    offset: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(N, F) -> (N, A)."""
        return (features - self.mean) @ self.weights + self.offset

    def save(self, path: Path) -> None:
        tensors = {"weights": self.weights, "mean": self.mean, "offset": self.offset}
        save_file(
            {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()},
            path,
            {"attributes": ",".join(self.attributes)},
        )

    @classmethod
    def load(cls, path: Path) -> "Probe":
        with safe_open(path, "np") as file:
            names = tuple(file.metadata()["attributes"].split(","))
            return cls(names, *(file.get_tensor(name) for name in ("weights", "mean", "offset")))


def fit_probe(features: np.ndarray, targets: np.ndarray, attributes: tuple[str, ...]) -> Probe:
    """Ridge regression in dual form, each attribute on the rows that have it.

    features: (N, F); targets: (N, A), NaN where unknown. With X the centred features of the known rows and y
    the centred targets: weights = X^T (X X^T + lambda I)^-1 y.
    """
    mean = features.mean(0)
    columns, offset = [], []
    for target in targets.T:
        known = ~np.isnan(target)
        x, y = features[known] - mean, target[known]
        centre = x.mean(0)
        gram = (x - centre) @ (x - centre).T
        gram[np.diag_indices_from(gram)] += RIDGE * np.trace(gram) / len(gram)
        weights = (x - centre).T @ np.linalg.solve(gram, y - y.mean())
        columns.append(weights)
        offset.append(y.mean() - centre @ weights)
    return Probe(attributes, np.stack(columns, 1), mean, np.array(offset))


def half_of(person: str) -> int:
    """0 or 1, the same for all photographs of one person."""
    return hashlib.sha256(person.encode()).digest()[-1] % 2


def published(
    row: dict[str, str], ffhq: dict[str, dict[str, str]], measures: Mapping[str, float]
) -> list[float]:
    """What masks and published attributes say of one face, in the order of `ATTRIBUTES`; NaN where nothing.

    measures: `mask_measures` of its mask, or nothing.
    """
    known = {**dict.fromkeys(ATTRIBUTES, np.nan), **{n: v for n, v in measures.items() if n in FROM_MASKS}}
    if row["mask"] == "1":
        known["glasses"], known["hat"] = float(row["mask_glasses"]), float(row["mask_hat"])
    if row["gender"]:
        known["female"] = float(row["gender"] == "female")
    if row["age"]:
        known["age"] = float(row["age"])
    if (face := ffhq.get(row["name"])) is not None:
        known |= _of_ffhq(face)
    return [known[name] for name in ATTRIBUTES]


def _of_ffhq(face: dict[str, str]) -> dict[str, float]:
    """What was published of one of FFHQ's faces."""
    eyes, lips, beard, moustache = (
        float(face[name]) for name in ("eye_makeup", "lip_makeup", "beard", "moustache")
    )
    return {
        "glasses": float(face["glasses"] != "NoGlasses"),
        "sunglasses": float(face["glasses"] == "Sunglasses"),
        "hat": float("headwear" in face["accessories"]),
        "makeup": (eyes + lips) / 2,
        "eye_makeup": eyes,
        "lipstick": lips,
        # The numbers run from 0 to .9 in steps; a moustache alone is half a beard.
        "beard": (beard + moustache) / 2,
        "moustache": moustache,
        # Nothing stands where its hair could not be seen.
        **{name: float(face[theirs] or "nan") for name, theirs in HAIR_COLOURS.items()},
    }


def _read(faces: Path, trunk: Trunk, rows: list[dict[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """(N, F) features and (N, A) targets of faces of the index."""
    with (faces / "ffhq_attributes.csv").open() as file:
        ffhq = {row["name"]: row for row in csv.DictReader(file)}
    landmarks = np.load(faces / "landmarks.npy")
    features, targets = [], []
    for row in rows:
        measures: dict[str, float] = {}
        if row["mask"] == "1":
            measures = mask_measures(read_mask(faces, row["name"]), landmarks[int(row["order"])])
        targets.append(published(row, ffhq, measures))
    for start in range(0, len(rows), 64):
        names = [row["name"] for row in rows[start : start + 64]]
        pictures = [np.array(Image.open(faces / f"{name}.webp").convert("RGB")) for name in names]
        features.append(grid_features(trunk, np.stack(pictures)))
    return np.concatenate(features), np.array(targets)


def separation(scores: np.ndarray, target: np.ndarray) -> float:
    """Area under the ROC curve of a binary target, the correlation of any other."""
    known = ~np.isnan(target)
    scores, target = scores[known], target[known]
    if set(np.unique(target)) <= {0.0, 1.0}:
        ranks = scores.argsort().argsort() + 1.0
        positives = target > 0
        below = ranks[positives].sum() - positives.sum() * (positives.sum() + 1) / 2
        return float(below / (positives.sum() * (~positives).sum()))
    return float(np.corrcoef(scores, target)[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True, help="faces256, unpacked")
    parser.add_argument("--trunk", choices=TRUNKS, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--half", type=int, choices=(0, 1), required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with (arguments.faces / "index.csv").open() as file:
        rows = [{**row, "order": str(order)} for order, row in enumerate(csv.DictReader(file))]
    trunk = load_trunk(arguments.trunk, arguments.weights)
    own = [row for row in rows if row["split"] == "train" and half_of(row["person"]) == arguments.half]
    probe = fit_probe(*_read(arguments.faces, trunk, own), ATTRIBUTES)
    probe.save(arguments.out)
    features, targets = _read(arguments.faces, trunk, [row for row in rows if row["split"] == "test"])
    for name, scores, target in zip(ATTRIBUTES, probe(features).T, targets.T, strict=True):
        print(f"{name:14} {separation(scores, target):.3f} on {(~np.isnan(target)).sum()} test faces")


if __name__ == "__main__":
    main()
