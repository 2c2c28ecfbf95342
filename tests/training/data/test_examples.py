from pathlib import Path

import numpy as np
import pytest

from core.images import encode_jpeg, open_image
from training.data import examples
from training.data.examples import LARGEST_BYTES, QUALITIES, jpeg, main


def noisy(scale: float) -> np.ndarray:
    """(512, 512, 3) uint8: the more noise, the larger its file."""
    noise = np.random.default_rng(0).normal(128, scale, (512, 512, 3))
    return noise.clip(0, 255).astype(np.uint8)


def test_a_picture_is_kept_as_well_as_its_file_may_be_large() -> None:
    plain, busy = noisy(2), noisy(8)
    assert jpeg(plain) == encode_jpeg(plain, QUALITIES[0])
    content = jpeg(busy)
    better = [q for q in QUALITIES if len(encode_jpeg(busy, q)) > len(content)]
    assert len(content) <= LARGEST_BYTES < len(encode_jpeg(busy, better[-1]))


def test_what_no_file_can_be_small_enough_for_is_kept_as_small_as_may_be() -> None:
    assert jpeg(noisy(80)) == encode_jpeg(noisy(80), QUALITIES[-1])


def test_one_example_for_each_seed_in_their_order(
    taking_bundle_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples.Engine, "find_faces", lambda engine, photo: (photo,))
    main(["--bundle", str(taking_bundle_dir), "--out", str(tmp_path), "--seeds", "5", "3"])
    written = [open_image(tmp_path / f"face{number}.jpg").astype(int) for number in (1, 2)]
    with_seed = [e.astype(int) for e in samples(taking_bundle_dir, (5, 3))]
    for i in range(2):
        assert np.abs(written[i] - with_seed[i]).mean() < 0.5 * np.abs(written[i] - with_seed[1 - i]).mean()


def test_a_seed_in_whose_picture_no_face_is_seen_is_named(taking_bundle_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="seed 5"):
        main(["--bundle", str(taking_bundle_dir), "--out", str(tmp_path), "--seeds", "5"])


def samples(folder: Path, seeds: tuple[int, ...]) -> list[np.ndarray]:
    engine = examples.Engine.load(folder, "cpu")
    return [engine.samples(1, seed, 0.8)[0] for seed in seeds]
