"""Do the fixed sliders do what they say, and does the person stay: judged by what made no label.

    python -m training.judging.sliders --bundle checkpoints/portrait1024 --opened DIR --count 60 \\
        --identity mobilefacenet_arcface.safetensors --probe judge.safetensors \\
        --trunk lpips_alex.safetensors --pose fr_pose.onnx [--published ffhq_directions.npz]
    python -m training.judging.sliders ... --faces gen --first 11 --last 13 (samples, not opened photos)

DIR is what `training.judging.opened` wrote. Pictures are the engine's own. Every slider goes to +VALUE and
-VALUE on every face. Lengths and colours are judged by dlib's 68 points and what lies between them
(`slider_measures`), yaw and pitch by `fr_pose`, the rest by a probe on masks and published attributes of
faces that no label saw, on another trunk (`training.data.attribute_probe --half 1`). Identity is
MobileFaceNet's cosine to the unedited picture, with its landmarks; found anew where the head turns. With
`--published`, directions of the same W found elsewhere are stretched to the same move, and stand beside ours.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from core.checkpoints import Bundle, load_bundle
from core.engine import Engine
from core.faces.alignment import find_landmarks
from core.faces.judge import IdentityJudge
from core.files import write_whole
from core.images import to_array
from core.session import EditRequest
from training.data.attribute_probe import Probe
from training.data.label import FACE_BOX
from training.data.sampled import read_part, shard_files
from training.data.trunks import Trunk, grid_features, load_trunk
from training.judging.opened import CODES, LINES, PORTRAITS, file_name, known_lines
from training.judging.slider_measures import (
    COLOUR_MEASURES,
    POINT_MEASURES,
    colour_measures,
    hair_place,
    point_measures,
)

SIDE = 256
# The judge's name for a slider that has another one, with a minus where it falls while the slider rises.
JUDGED_AS = {
    "gender": "female",
    "surprise": "brows",
    "sad": "-mouth_corners",
    "angry": "-brows",
    "squint": "-eyes_open",
    "pucker": "-smile",
    "mouth_width": "smile",
    "skin_red": "blush",
    "brightness": "exposure",
    "iris_brightness": "iris",
}
TURNS = ("yaw", "pitch")
# Over these the mean identity is asked for.
KEPT_OVER = ("smile", "mouth_open", "eyes_open", "yaw", "pitch", "hair_brightness", "skin_brightness")
# Only faces that can move are counted, by the judge's own score of the unedited face: who has no glasses, no
# beard, no fringe or a closed mouth cannot lose it, and who wears glasses cannot be given any.
NOTHING_TO_TAKE = {
    "glasses": 0.4,
    "beard": 0.2,
    "bangs": 0.3,
    "mouth_open": 0.03,
    "moustache": 0.2,
    "hat": 0.4,
    "sunglasses": 0.4,
}
NOTHING_TO_GIVE = {"glasses": 0.8, "hat": 0.8, "sunglasses": 0.8}
PUBLISHED = {
    "smile": "e4e__smile",
    "mouth_open": "STIT__mouth_open",
    "eyes_open": "STIT__eyes_open",
    "yaw": "e4e__pose",
    "pitch": "STIT__pitch",
    "age": "StyleGAN-nada__age",
    "gender": "StyleGAN-nada__gender",
    "glasses": "matching-with-gans__eyeglasses",
    "beard": "StyleGAN-nada__beard",
    "hair_brightness": "ganspace__hair_albedo",
    "skin_brightness": "matching-with-gans__skin_color",
    "face_width": "generators-with-stylegan2__width",
    "brows": "STIT__eye_eyebrow_distance",
    "lips": "STIT__lip_ratio",
    "gaze": "resefa__gaze_direction",
    "nose_width": "STIT__nose_ratio",
    "bangs": "4995-final__Bangs",
    "side_light": "Chunkmogrify__light",
}

Render = Callable[[np.ndarray], np.ndarray]  # codes (N, L, D) -> pictures (N, 256, 256, 3) uint8


@dataclass(frozen=True)
class Judged:
    """What the judges say of N pictures. `values`: (N, A) by `names`; `identity`: (N, 128) unit vectors with
    the unedited landmarks, `turned`: the same with landmarks found anew."""

    names: tuple[str, ...]
    values: np.ndarray
    identity: np.ndarray
    turned: np.ndarray


class HeadPose:
    """npm faceplugin-face-recognition-js 0.0.1's fr_pose.onnx: 66 bins of 3 degrees for yaw, pitch and
    roll."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, picture: np.ndarray, points: np.ndarray) -> tuple[float, float]:
        """Yaw to the picture's right and pitch upwards, degrees. picture: HWC uint8 RGB; points: (68, 2)."""
        centre, side = points.mean(0), 1.5 * float(np.ptp(points, 0).max())
        corner = np.rint(centre - side / 2).astype(int)
        padded = cv2.copyMakeBorder(picture, SIDE, SIDE, SIDE, SIDE, cv2.BORDER_REPLICATE)
        (x, y), size = corner + SIDE, int(side)
        cut = cv2.resize(padded[y : y + size, x : x + size], (224, 224), interpolation=cv2.INTER_AREA)
        scaled = (cut.astype(np.float32) / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        bins = self._session.run(None, {"input": scaled.transpose(2, 0, 1)[None].astype(np.float32)})
        yaw, pitch = (float(_softmax(b[0]) @ np.arange(66)) * 3 - 99 for b in bins[:2])
        return -yaw, pitch  # the network's yaw is positive to the picture's left


@dataclass(frozen=True)
class Judges:
    """All of them. Codes become pictures by `render`."""

    render: Render
    pose: HeadPose
    probe: Probe
    trunk: Trunk
    identity: IdentityJudge

    @property
    def names(self) -> tuple[str, ...]:
        return (*POINT_MEASURES, *COLOUR_MEASURES, *TURNS, *self.probe.attributes)

    def __call__(self, codes: np.ndarray, unedited: np.ndarray | None = None) -> Judged:
        """codes: (N, L, D); unedited: (N, 256, 256, 3) pictures of the same faces, where these are edits."""
        return self.judged(self.render(codes), unedited)

    def judged(self, pictures: np.ndarray, unedited: np.ndarray | None = None) -> Judged:
        """The same of pictures, (N, 256, 256, 3) uint8."""
        originals = pictures if unedited is None else unedited
        first = np.stack([find_landmarks(p, FACE_BOX) for p in originals])
        anew = first if unedited is None else np.stack([find_landmarks(p, FACE_BOX) for p in pictures])
        rows = []
        for picture, points, original, place in zip(pictures, anew, originals, first, strict=True):
            by_points = point_measures(points)
            by_colour = colour_measures(picture, points, hair_place(original, place))
            turns = self.pose(picture, points)
            rows.append(
                [*(by_points[n] for n in POINT_MEASURES), *(by_colour[n] for n in COLOUR_MEASURES), *turns]
            )
        values = np.concatenate([np.array(rows), self.probe(grid_features(self.trunk, pictures))], 1)
        embeddings = (self.identity.embeddings(pictures, points) for points in (first, anew))
        return Judged(self.names, values, *embeddings)


def figures(name: str, before: Judged, up: Judged, down: Judged, deviations: np.ndarray) -> dict[str, object]:
    """One slider's row. `moved_up`, `moved_down`: shares of the faces that can, moved the right way; `move`:
    by how much, in deviations between faces, half the way from down to up; `identity`: mean cosine of both
    edits to the unedited; `else`: what else moves most, in the same deviations; `else_sum`: all of it
    together."""
    judge = JUDGED_AS.get(name, name)
    own, sign = before.names.index(judge.removeprefix("-")), -1 if judge.startswith("-") else 1
    base, high, low = (sign * j.values[:, own] for j in (before, up, down))
    can_rise = base < NOTHING_TO_GIVE.get(name, np.inf)
    can_fall = base > NOTHING_TO_TAKE.get(name, -np.inf)
    moves = np.nanmean((up.values - down.values) / 2, 0) / deviations
    others = [i for i in np.argsort(-np.abs(moves)) if i != own]
    kind = "turned" if name in TURNS else "identity"
    reference = getattr(before, kind)
    cosines = np.concatenate([(getattr(j, kind) * reference).sum(1) for j in (up, down)])
    rises, falls = (high > base)[can_rise], (low < base)[can_fall]
    return {
        "moved": float(np.concatenate([rises, falls]).mean()),
        "moved_up": float(rises.mean()) if len(rises) else None,
        "moved_down": float(falls.mean()) if len(falls) else None,
        "can_fall": int(can_fall.sum()),
        "move": sign * float(moves[own]),
        "identity": float(cosines.mean()),
        "else": {before.names[i]: round(float(moves[i]), 2) for i in others[:4]},
        "else_sum": float(np.abs(np.delete(moves, own)).sum()),
    }


def judge_direction(
    judges: Judges, codes: np.ndarray, before: Judged, step: np.ndarray, name: str, pictures: np.ndarray
) -> dict[str, object]:
    """codes: (N, L, D); step: (L, D), what the slider adds; pictures: (N, 256, 256, 3), the unedited
    faces."""
    deviations = np.nanstd(before.values, 0)
    up, down = judges(codes + step, pictures), judges(codes - step, pictures)
    return figures(name, before, up, down, deviations)


def placed(direction: np.ndarray, num_codes: int) -> np.ndarray:
    """A published direction ([512] or [18, 512]) as (num_codes, 512): code i goes to code i, the last are
    left out."""
    if direction.ndim == 1:
        return np.repeat(direction[None], num_codes, 0)
    return direction[:num_codes]


def judge_published(
    judges: Judges,
    codes: np.ndarray,
    before: Judged,
    direction: np.ndarray,
    ours: dict[str, object],
    norm: float,
    name: str,
    pictures: np.ndarray,
) -> dict[str, object]:
    """The same row for a published direction, stretched (and turned) so that it moves as far as ours.

    One try at our step's own norm says how far it goes; the second, at most four times as long, is judged.
    """
    step = placed(direction.astype(np.float64), codes.shape[1])
    step *= norm / np.linalg.norm(step)
    tried = judge_direction(judges, codes, before, step, name, pictures)
    wanted, found = float(ours["move"]), float(tried["move"])  # type: ignore[arg-type]
    factor = float(np.clip(wanted / found if found else 4.0, -4.0, 4.0))
    return {**judge_direction(judges, codes, before, factor * step, name, pictures), "stretched": factor}


def engine_render(engine: Engine) -> Render:
    """Pictures as the product renders them, averaged to 256 px by area."""

    def render(codes: np.ndarray) -> np.ndarray:
        pictures = []
        for w in torch.from_numpy(codes.astype(np.float32)):
            image = engine.rendered_codes(w[None], EditRequest())
            pictures.append(to_array(torch.nn.functional.interpolate(image, size=(SIDE, SIDE), mode="area")))
        return np.concatenate(pictures)

    return render


def sampled_codes(faces: Path, first: int, last: int, count: int) -> np.ndarray:
    """(count, L, D): the first of each shard first to last (excluded), crossed codes among them."""
    shards = [read_part(shard, "codes") for shard in shard_files(faces)[first:last]]
    share = -(-count // len(shards))
    return np.concatenate([shard[:share] for shard in shards])[:count]


def opened_codes(folder: Path, count: int) -> np.ndarray:
    """(N, L, D): codes that `training.judging.opened` wrote; portraits first, then as many of each source."""
    sources: dict[str, list[str]] = {}
    for entry in known_lines(folder / LINES):
        if "at" in entry:
            sources.setdefault(entry["source"], []).append(file_name(entry))
    chosen = sources.pop(PORTRAITS, [])[:count]
    share = (count - len(chosen)) // max(1, len(sources))
    chosen += [name for names in sources.values() for name in names[:share]]
    return np.stack([np.load(folder / CODES / f"{name}.npy") for name in chosen])


def text_row(name: str, row: dict[str, object]) -> str:
    """One line of the printed table."""
    up, down = ("   -" if row[k] is None else f"{row[k]:4.2f}" for k in ("moved_up", "moved_down"))
    return (
        f"{name:36} moved {row['moved']:4.2f} (up {up}, down {down} of {row['can_fall']}) "
        f"by {row['move']:5.2f} sd, identity {row['identity']:.2f}, else {row['else_sum']:4.1f}: "
        + ", ".join(f"{other} {moved:+.2f}" for other, moved in row["else"].items())  # type: ignore[attr-defined]
    )


def judge_all(
    judges: Judges,
    codes: np.ndarray,
    bundle: Bundle,
    value: float,
    published: Path | None,
    only: Sequence[str] = (),
) -> dict[str, dict[str, object]]:
    """Rows by slider, and by `slider / published name`, printed as they come; only: of these sliders."""
    attributes = [a for a in bundle.config.attributes if not only or a.name in only]
    axes = [bundle.config.directions.index(attribute.name) for attribute in attributes]
    steps = bundle.directions[axes].double().cpu().numpy()  # (A, L, D)
    pictures = judges.render(codes)
    before = judges.judged(pictures)
    anchors = np.load(published) if published else {}
    rows: dict[str, dict[str, object]] = {}
    for attribute, direction in zip(attributes, steps, strict=True):
        name, step = attribute.name, direction * attribute.unit * value
        rows[name] = judge_direction(judges, codes, before, step, name, pictures)
        print(text_row(name, rows[name]), flush=True)
        if (other := PUBLISHED.get(name)) in anchors:
            row = judge_published(
                judges, codes, before, anchors[other], rows[name], float(np.linalg.norm(step)), name, pictures
            )
            rows[f"{name} / {other}"] = row
            print(text_row(f"  {other}", row), flush=True)
    return rows


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--faces", type=Path, help="shards of sampled faces")
    source.add_argument("--opened", type=Path, help="what training.judging.opened wrote")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int, default=1)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--value", type=float, default=2.0)
    for name in ("identity", "probe", "trunk", "pose"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--published", type=Path, help="directions to compare with")
    parser.add_argument("--only", nargs="+", metavar="SLIDER", default=[])
    parser.add_argument("--json", type=Path)
    a = parser.parse_args()
    bundle = load_bundle(a.bundle)
    engine = Engine(bundle)
    judges = Judges(
        engine_render(engine),
        HeadPose(a.pose),
        Probe.load(a.probe),
        load_trunk("alexnet", a.trunk),
        IdentityJudge.load(a.identity),
    )
    codes = sampled_codes(a.faces, a.first, a.last, a.count) if a.faces else opened_codes(a.opened, a.count)
    rows = judge_all(judges, codes, bundle, a.value, a.published, a.only)
    kept = [float(rows[name]["identity"]) for name in KEPT_OVER if name in rows]  # type: ignore[arg-type]
    if len(kept) == len(KEPT_OVER):
        print(f"identity over {', '.join(KEPT_OVER)}: {np.mean(kept):.3f}")
    if a.json:
        write_whole(a.json, (json.dumps(rows, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
