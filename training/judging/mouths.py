"""Do closed mouths open closed? FaceLandmarker's blendshapes of photos and of what the model makes of them.

    python -m training.judging.mouths --task face_landmarker.task --folder DIR

DIR: what `training.judging.opened --pictures` wrote, crops/NAME.png and inversions/NAME.png. Needs mediapipe,
which no other part does: run it in an environment of its own. A photo's mouth is closed where jawOpen < .05
and the mean of both smiles < .2; it opens so where both are within .15 of the photo's.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JAW_CLOSED, SMILE_CLOSED, WITHIN = 0.05, 0.2, 0.15


@dataclass(frozen=True)
class Mouth:
    """Blendshapes in [0, 1]: jawOpen, and the mean of mouthSmileLeft and mouthSmileRight."""

    jaw: float
    smile: float

    @classmethod
    def of(cls, blendshapes: dict[str, float]) -> "Mouth":
        return cls(
            blendshapes["jawOpen"], (blendshapes["mouthSmileLeft"] + blendshapes["mouthSmileRight"]) / 2
        )

    @property
    def closed(self) -> bool:
        """Neither open nor smiling."""
        return self.jaw < JAW_CLOSED and self.smile < SMILE_CLOSED

    def like(self, other: "Mouth") -> bool:
        """Whether both are about as they are there."""
        return abs(self.jaw - other.jaw) <= WITHIN and abs(self.smile - other.smile) <= WITHIN


def compare(pairs: Iterable[tuple[str, Mouth | None, Mouth | None]]) -> dict[str, Any]:
    """pairs: (name, the photo's mouth, the picture's); None: no face was found.

    Returns {"closed": how many photos' mouths are, "kept": how many of these opened so, "share", "lost": the
    names of the others, "unseen": names without a face}. A picture without a face has not kept its mouth.
    """
    closed, lost, unseen = 0, [], []
    for name, photo, picture in pairs:
        if photo is None or picture is None:
            unseen.append(name)
        if photo is None or not photo.closed:
            continue
        closed += 1
        if picture is None or not picture.like(photo):
            lost.append(name)
    kept = closed - len(lost)
    share = kept / closed if closed else None
    return {"closed": closed, "kept": kept, "share": share, "lost": lost, "unseen": unseen}


def reader(task: Path) -> Callable[[Path], Mouth | None]:
    """From a picture's file to its mouth."""
    # Here, not above: it is in no environment of the product.
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    landmarker = vision.FaceLandmarker.create_from_options(
        vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(task)), output_face_blendshapes=True, num_faces=1
        )
    )

    def read(path: Path) -> Mouth | None:
        found = landmarker.detect(mediapipe.Image.create_from_file(str(path))).face_blendshapes
        return Mouth.of({shape.category_name: shape.score for shape in found[0]}) if found else None

    return read


def main(argv: Sequence[str] | None = None) -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.mouths", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--task", type=Path, required=True, help="FaceLandmarker's model, with blendshapes")
    parser.add_argument("--folder", type=Path, required=True, help="that has crops/ and inversions/")
    args = parser.parse_args(argv)
    read = reader(args.task)
    names = sorted(path.name for path in (args.folder / "inversions").glob("*.png"))
    found = compare(
        (name, read(args.folder / "crops" / name), read(args.folder / "inversions" / name)) for name in names
    )
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
