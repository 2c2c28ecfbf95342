"""How faithful inversions are, and to whom: the same figures by gender and by age."""

from collections.abc import Mapping

import numpy as np
from tqdm import tqdm

from core.faces.judge import IdentityJudge
from core.images import to_tensor
from training.data.packs import Faces
from training.judging.faces import Opened

AGE_BANDS = ((0, 12), (13, 29), (30, 49), (50, 69), (70, None))


def inversion_measures(opened: Opened, network: IdentityJudge) -> dict[str, np.ndarray]:
    """(N,) each: MSE on [-1, 1], MS-SSIM, dlib descriptor distance, MobileFaceNet cosine.

    Both identity measures take the original's landmarks for both pictures: found anew, they would measure
    the detector as well.
    """
    # Imported here: dlib is a need of evaluation alone.
    from cli.measures import ms_ssim, mse
    from core.faces.identity import descriptor, distance

    rows = []
    triples = zip(opened.crops, opened.inversions, opened.landmarks, strict=True)
    for crop, inversion, points in tqdm(triples, "Inversions", len(opened), unit="face", disable=None):
        a, b = to_tensor(crop), to_tensor(inversion)
        identity = distance(descriptor(crop, points), descriptor(inversion, points))
        rows.append((mse(a, b), ms_ssim(a, b), identity))
    squared, similarity, identity_distance = np.array(rows).T
    originals = network.embeddings(opened.crops, opened.landmarks)
    copies = network.embeddings(opened.inversions, opened.landmarks)
    return {
        "mse": squared,
        "ms_ssim": similarity,
        "dlib_distance": identity_distance,
        "cosine": (originals * copies).sum(1),
    }


def groups(faces: Faces) -> dict[str, np.ndarray]:
    """(N,) bool of every group: by UTKFace's gender label and by age band."""
    male, age = faces.score("gender") > 0.5, faces.score("age")
    members = {"women": ~male, "men": male}
    for low, high in AGE_BANDS:
        name = f"{low} and older" if high is None else f"{low} to {high}"
        members[name] = (age >= low) & (age <= (np.inf if high is None else high))
    return members


def breakdown(
    measures: Mapping[str, np.ndarray], members: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float | int | None]]:
    """Mean of every measure over all faces and over each group, with counts; None for an empty group."""
    count = len(next(iter(measures.values())))
    table: dict[str, dict[str, float | int | None]] = {}
    for name, inside in {"all": np.ones(count, bool), **members}.items():
        means = {m: float(v[inside].mean()) if inside.any() else None for m, v in measures.items()}
        table[name] = {"count": int(inside.sum()), **means}
    return table
