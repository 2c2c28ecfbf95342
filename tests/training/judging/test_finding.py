"""training.judging.finding: what spoiling does to a picture and its landmarks, and how finds are counted."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import FFHQ_TEMPLATE
from core.faces.alignment import Face, crop, crop_transform, find_faces, to_crop
from training.data.aligned import AlignedFace
from training.judging.finding import (
    CANVAS,
    SPOILT,
    Spoilt,
    covered,
    cut,
    dark,
    error,
    faceless,
    main,
    score,
    shrunk,
    turned,
)


@pytest.fixture(scope="module")
def aligned(photo: np.ndarray) -> AlignedFace:
    """The astronaut as the published faces are cut: 256 px."""
    points = find_faces(photo)[0].landmarks
    transform = crop_transform(points, FFHQ_TEMPLATE)
    return AlignedFace("astronaut", crop(photo, transform, 256), to_crop(points, transform, 256), {})


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (270, 3)])
def test_turning_is_rot90_in_the_canvas(aligned: AlignedFace, degrees: int, turns: int) -> None:
    spoilt = turned(degrees, aligned)
    margin = (CANVAS - 256) // 2
    inner = spoilt.picture[margin:-margin, margin:-margin].astype(int)
    assert np.abs(inner - np.rot90(aligned.crop, turns)).max() <= 1
    points = aligned.landmarks
    for _ in range(turns):
        points = np.stack([points[:, 1], 255 - points[:, 0]], 1)
    assert np.allclose(spoilt.landmarks, points + margin, atol=1e-3)


def test_a_shrunk_face_is_as_wide_as_said(aligned: AlignedFace) -> None:
    spoilt = shrunk(32, aligned)
    assert np.ptp(spoilt.landmarks[:17, 0]) == pytest.approx(32, abs=0.5)
    (face,) = find_faces(shrunk(90, aligned).picture)
    assert error(face.landmarks, shrunk(90, aligned)) < 0.15


def test_covers_lie_where_they_should(aligned: AlignedFace) -> None:
    plain = turned(0, aligned)
    for what, hidden, seen in (("mouth", 57, 37), ("eye", 38, 57)):
        spoilt = covered(what, aligned)
        changed = (spoilt.picture != plain.picture).any(2)
        places = plain.landmarks.round().astype(int)
        assert changed[places[hidden, 1], places[hidden, 0]]
        assert not changed[places[seen, 1], places[seen, 0]]


def test_cuts_take_the_landmarks_along(aligned: AlignedFace) -> None:
    for what in ("left", "bottom", "tight"):
        spoilt = cut(what, aligned)
        x, y = np.round(aligned.landmarks[30] - spoilt.landmarks[30]).astype(int)
        height, width = spoilt.picture.shape[:2]
        assert np.array_equal(spoilt.picture, aligned.crop[y : y + height, x : x + width])
        assert min(height, width) < 256


def test_dark_pictures_are_dark(aligned: AlignedFace) -> None:
    plain = turned(0, aligned).picture
    assert np.array_equal(dark("12 bit", aligned).picture, plain // 16)
    # A fifth of the light, to a level.
    light = (dark("a fifth", aligned).picture.astype(float) + 0.5) ** 2.2 / (plain + 1e-9) ** 2.2
    assert np.median(light[plain > 50]) == pytest.approx(0.2, rel=0.03)


def test_strips_show_no_face(aligned: AlignedFace) -> None:
    strips = faceless(aligned)
    assert strips
    assert all(strip.landmarks is None and find_faces(strip.picture) == () for strip in strips)


def test_an_error_is_a_share_of_the_distance_between_the_eyes(aligned: AlignedFace) -> None:
    spoilt = Spoilt(aligned.crop, aligned.landmarks)
    eyes = aligned.landmarks[42:48].mean(0) - aligned.landmarks[36:42].mean(0)
    assert error(aligned.landmarks, spoilt) == 0
    assert error(aligned.landmarks + 0.3 * eyes, spoilt) == pytest.approx(0.3)
    # What the frame hides is not asked.
    hidden = aligned.landmarks[:, 1] >= 150
    assert error(aligned.landmarks + 9 * hidden[:, None], Spoilt(aligned.crop[:150], aligned.landmarks)) == 0
    assert error(aligned.landmarks, Spoilt(aligned.crop, None)) == float("inf")


def test_finds_are_counted(aligned: AlignedFace) -> None:
    right = Face((0, 0, 1, 1), aligned.landmarks)
    wrong = Face((0, 0, 1, 1), aligned.landmarks + 60)
    shown, empty = Spoilt(aligned.crop, aligned.landmarks), Spoilt(aligned.crop, None)
    answers = iter([[right], [wrong, right], [wrong], []])
    found = score(lambda _: next(answers), [shown] * 4)
    assert (found.pictures, found.errors, found.wrong) == (4, (0.0, 0.0), 2)
    assert found.cell() == "50.0 %, 0.000, 2"
    assert score(lambda _: [right], [empty]).cell() == "0.0 %, -, 1"


def test_the_command_prints_a_row_for_every_kind(
    aligned: AlignedFace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(aligned.crop).save(tmp_path / "astronaut.webp", lossless=True)
    (tmp_path / "index.csv").write_text("name,source,split\nastronaut,NASA,test\n")
    np.save(tmp_path / "landmarks.npy", aligned.landmarks[None])
    main(["--faces", str(tmp_path), "--detectors", "hog,search"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(lines) == 2 + len(SPOILT) + 2
    assert lines[2].startswith("| turned by 0 (1) | 100.0 %, ")
