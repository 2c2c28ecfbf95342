"""How faithful inversions are."""

import numpy as np
from tqdm import tqdm

from core.faces.judge import IdentityJudge
from core.images import to_tensor
from training.judging.faces import Opened


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
