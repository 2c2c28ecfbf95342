"""Files become bundles: what ends up in them, in whichever order, and what stays after a failure."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from encoder_files import direction_content, gradual_content, write
from import_files import NUM_CODES, RESOLUTION, SEED, W_DIM, contents, halved, nothing_changes, refusal
from rosinality_files import generator_tensors, write_rosinality

from core import checkpoints
from core.checkpoints import list_bundles, load_bundle, user_folder
from core.errors import BadCheckpoint, BadRequest
from core.importing.formats.recognise import convert
from core.importing.install.installing import install, remove, verify
from core.importing.read.reading import read_checkpoint
from core.models.inverter import invert

pytestmark = pytest.mark.usefixtures("home")


# What a bundle is made of.


def test_a_generator_becomes_a_bundle_in_full_precision(files: Path, home: Path) -> None:
    done = install([files / "generator.pt"], name="face")
    assert done.folder == home / "face"
    assert home / "face" in list_bundles()
    bundle = load_bundle(done.folder)
    assert bundle.config == done.config
    assert (bundle.inverter, bundle.classifier, bundle.config.attributes) == (None, None, ())
    assert bundle.config.generator.resolution == RESOLUTION
    theirs = generator_tensors(RESOLUTION, w_dim=W_DIM, seed=SEED)
    assert torch.equal(bundle.generator.constant, theirs["input.input"])
    assert torch.equal(bundle.generator.first.weight, theirs["conv1.conv.weight"][0])
    (source,) = bundle.config.sources
    checkpoint = read_checkpoint(files / "generator.pt")
    assert (source.file, source.sha256, source.parts) == ("generator.pt", checkpoint.sha256, ("generator",))
    assert "non-commercial" in source.licence
    assert source.licence.rstrip(".") in bundle.config.licence
    card = (done.folder / "MODEL_CARD.md").read_text()
    assert "generator.pt" in card
    assert source.sha256 in card
    assert source.licence in card
    assert f"{RESOLUTION} x {RESOLUTION}" in done.checks[0]


def test_the_order_of_files_is_no_matter(files: Path, home: Path) -> None:
    names = ("generator.pt", "e4e.pt", "age.pt", "pose.pt")
    made = []
    for i, order in enumerate(itertools.permutations(names)):
        if i % 5 == 0:  # of the 24 five, in which each file comes first
            made.append(install([files / name for name in order], name=f"face{i}"))
    assert len(made) == 5
    descriptions = []
    for done in made:
        data = json.loads((done.folder / "model.json").read_text())
        descriptions.append({**data, "name": "", "title": "", "sources": sorted(map(str, data["sources"]))})
    assert all(description == descriptions[0] for description in descriptions)


def test_an_encoders_file_is_a_whole_bundle_or_part_of_one(files: Path, home: Path, face: Path) -> None:
    alone = load_bundle(install([files / "e4e.pt"], name="alone").folder)
    done = install([files / "e4e.pt"], into="face")
    joined = load_bundle(face)
    content = gradual_content("e4e", RESOLUTION)
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for bundle in (alone, joined):
        assert bundle.inverter is not None
        offsets = bundle.inverter(picture)
        codes = invert(bundle.generator, bundle.inverter, picture)
        # Offsets are from the encoder's own mean, wherever the generator came from.
        torch.testing.assert_close(codes, content["latent_avg"] + offsets)
    assert any("mean code" in notice for notice in done.notices)
    assert [source.parts for source in alone.config.sources] == [("generator", "inverter")]
    assert [s.parts for s in joined.config.sources] == [("generator",), ("directions",), ("inverter",)]
    assert joined.config.version == "2"
    plain = load_bundle(install([files / "generator.pt"], name="plain").folder).generator
    for name, tensor in plain.state_dict().items():
        assert torch.equal(joined.generator.state_dict()[name], tensor) == (name != "w_mean"), name


@pytest.mark.parametrize("file", ["psp.pt", "st.pt"])
def test_an_encoder_takes_the_place_of_the_former(files: Path, face: Path, file: str) -> None:
    install([files / "e4e.pt"], into="face")
    done = install([files / file], into="face")
    assert any(f"{file} takes the place" in notice for notice in done.notices)
    bundle = load_bundle(face)
    converted = convert(read_checkpoint(files / file))
    assert converted.inverter is not None
    assert bundle.config.inverter == converted.inverter[0]
    for name, tensor in converted.inverter[1].items():
        assert torch.equal(bundle.inverter.state_dict()[name], tensor), name
    assert [s.file for s in bundle.config.sources] == ["generator.pt", "age.pt", file]


def test_half_precision_is_taken_and_stored_wide(files: Path, home: Path, tmp_path: Path, face: Path) -> None:
    content = halved(gradual_content("e4e", RESOLUTION))
    half = write(tmp_path / "half.pt", content)
    install([half], into="face")  # the same generator, but for rounding
    install([half], name="half")
    for folder in (face, home / "half"):
        bundle = load_bundle(folder)
        stored = bundle.inverter.state_dict()["trunk.stem.0.weight"]
        assert torch.equal(stored, content["state_dict"]["encoder.input_layer.0.weight"].float())
    data = (home / "half" / "generator.safetensors").read_bytes()
    assert b'"F32"' in data
    assert b'"F16"' not in data


def test_a_directions_unit_is_a_deviation_of_the_samples(files: Path, home: Path) -> None:
    done = install([files / "generator.pt", files / "age.pt", files / "pose.pt"], name="face")
    bundle = load_bundle(done.folder)
    assert bundle.config.directions == ("age", "pose")
    z = torch.randn(50_000, W_DIM, generator=torch.Generator().manual_seed(99))
    w = bundle.generator.mapping(z).double().numpy()
    units = {a.name: a.unit for a in done.config.attributes}
    for name, content in (
        ("age", direction_content(1, W_DIM)),
        ("pose", direction_content(1, NUM_CODES, W_DIM, seed=1)),
    ):
        rows = content.reshape(-1, W_DIM).double().numpy()
        rows = np.repeat(rows, NUM_CODES, 0) if len(rows) == 1 else rows
        # All codes are one w; along the step, in lengths of a row, it lies at the mean over the rows.
        along = np.mean([w @ row for row in rows], 0)
        assert units[name] == pytest.approx(along.std(), rel=0.05)
        stored = bundle.directions[bundle.config.directions.index(name)]
        np.testing.assert_allclose(stored.numpy(), rows, atol=1e-6)


def test_codes_may_move_by_different_lengths(files: Path, face: Path, tmp_path: Path) -> None:
    uneven = direction_content(1, NUM_CODES, W_DIM) * torch.linspace(0, 2, NUM_CODES)[:, None]
    bundle = load_bundle(install([write(tmp_path / "uneven.pt", uneven)], into="face").folder)
    step = bundle.directions[bundle.config.directions.index("uneven")]
    torch.testing.assert_close(step, uneven[0] / 2)


def test_a_file_that_says_its_units_keeps_them(files: Path, home: Path) -> None:
    done = install([files / "generator.pt", files / "pca.pt"], name="face")
    given = {d.name: d.unit for d in convert(read_checkpoint(files / "pca.pt")).directions}
    assert {a.name: a.unit for a in done.config.attributes} == given


def test_the_classifier_gives_forty_sliders_and_linear_directions(files: Path, home: Path) -> None:
    done = install([files / name for name in ("classifier.pth", "generator512.pt")], name="face")
    bundle = load_bundle(done.folder)
    assert len(bundle.config.attributes) == 40
    assert bundle.linear_directions.shape == (40, NUM_CODES, 512)
    z = torch.cat([torch.randn(250, 512, generator=torch.Generator().manual_seed(seed)) for seed in range(8)])
    w = bundle.generator.mapping(z)
    logits = bundle.classifier(w[:, None].expand(-1, NUM_CODES, -1)).double().numpy()
    x = w.double().numpy()
    x = x - x.mean(0)
    # Ridge regression as ordinary least squares with one more row for each number of w.
    ridge = np.sqrt(0.1 * len(x) * np.mean(x.var(0)))
    rows = np.vstack([x, ridge * np.eye(512)])
    wanted = np.vstack([logits - logits.mean(0), np.zeros((512, 40))])
    found = np.linalg.lstsq(rows, wanted, rcond=None)[0].T
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    for code in range(NUM_CODES):
        np.testing.assert_allclose(bundle.linear_directions[:, code].numpy(), found, atol=2e-4)
    for k, attribute in enumerate(bundle.config.attributes):
        assert attribute.unit == pytest.approx((x @ found[k]).std(), rel=1e-3)
    labels = {a.name: (a.label, a.low, a.high) for a in bundle.config.attributes}
    assert labels["smiling"] == ("Smile", "serious", "smiling")
    assert labels["high_cheekbones"] == ("High cheekbones", "", "")


@pytest.mark.parametrize("first", ["classifier.pth", "smiling.pt"])
def test_an_attributes_name_is_the_classifiers(files: Path, home: Path, first: str) -> None:
    second = "smiling.pt" if first == "classifier.pth" else "classifier.pth"
    install([files / "generator512.pt", files / first], name="face")
    done = install([files / second], into="face")
    assert any("smiling-direction" in notice for notice in done.notices)
    assert done.config.directions == ("smiling-direction",)
    assert sum(a.name.startswith("smiling") for a in done.config.attributes) == 2
    again = install([files / "smiling.pt"], into="face")
    assert again.config.directions == ("smiling-direction",)


def test_a_direction_of_the_same_name_takes_the_formers_place(
    files: Path, home: Path, face: Path, tmp_path: Path
) -> None:
    newer = write(tmp_path / "age.pt", direction_content(1, W_DIM, seed=5))
    done = install([newer, files / "pose.pt"], into="face")
    assert any("age is now" in notice for notice in done.notices)
    bundle = load_bundle(face)
    assert bundle.config.directions == ("age", "pose")
    torch.testing.assert_close(
        bundle.directions[0], direction_content(1, W_DIM, seed=5).expand(NUM_CODES, -1)
    )


def test_progress_goes_up_to_the_end(files: Path, home: Path) -> None:
    told: list[tuple[str, float]] = []
    install([files / "generator.pt", files / "age.pt"], "face", progress=lambda *step: told.append(step))
    fractions = [done for _, done in told]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert [step for step, _ in itertools.groupby(step for step, _ in told)] == [
        "Reading generator.pt", "Reading age.pt", "Putting the parts together", "Writing", "Checking", "Done",
    ]  # fmt: skip


# What does not fit.


def test_files_that_do_not_belong_together(files: Path, home: Path, face: Path) -> None:
    def told(*names: str, **where: str) -> str:
        return refusal(home, *(files / name for name in names), **where)

    assert "begins with a generator" in told("age.pt", name="new")
    assert "one of each kind" in told("generator.pt", "other.pt", name="new")
    assert "e4e.pt and psp.pt" in told("e4e.pt", "psp.pt", into="face")
    assert "another generator than face's" in told("other.pt", into="face")
    assert "another generator than new's" in told("other.pt", "e4e.pt", name="new")
    assert "for a generator of 4 codes (8 px), face has 6 (16 px)" in told("small.pt", into="face")
    assert "codes of 512 numbers, face's have 64" in told("smiling.pt", into="face")
    assert "twice" in told("age.pt", "age.pt", into="face")


def test_an_encoder_of_another_generator(files: Path, home: Path, face: Path, tmp_path: Path) -> None:
    stranger = write(tmp_path / "stranger.pt", gradual_content("e4e", RESOLUTION, seed=40))
    text = refusal(home, stranger, into="face")
    assert "This encoder belongs to another generator than face's" in text


def test_two_sliders_of_one_name(files: Path, home: Path, face: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "age.pt", direction_content(1, W_DIM, seed=5))
    assert "a slider age" in refusal(home, files / "age.pt", other, into="face")
    reserved = write(tmp_path / "explore-all-1.pt", direction_content(1, W_DIM, seed=5))
    assert "rename the file" in refusal(home, reserved, into="face")


def test_a_checkpoint_for_cars_into_a_face_model(home: Path, tmp_path: Path) -> None:
    install([write_rosinality_1024(tmp_path / "face.pt")], name="face")
    cars = write(tmp_path / "cars.pt", gradual_content("e4e", 512, narrow=2))
    text = refusal(home, cars, into="face")
    assert text == (
        "cars.pt is for a generator of 16 codes (512 px, such as the cars model), face has 18 (1024 px)."
    )


def write_rosinality_1024(path: Path) -> Path:
    write_rosinality(path, 1024, narrow=2, w_dim=W_DIM, mapping_layers=1)
    return path


def test_files_that_are_none(files: Path, home: Path, face: Path, tmp_path: Path) -> None:
    data = (files / "e4e.pt").read_bytes()
    half, page = tmp_path / "half.pt", tmp_path / "page.pt"
    half.write_bytes(data[: len(data) // 2])
    page.write_text("<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head></html>")
    mystery = write(tmp_path / "mystery.pt", {"model": {"weight": torch.zeros(3)}})
    assert "half.pt" in refusal(home, half, into="face")
    assert "web page" in refusal(home, page, name="new")
    assert "no format" in refusal(home, mystery, into="face")
    assert "nowhere.pt" in refusal(home, tmp_path / "nowhere.pt", into="face")
    # A good file beside a bad one is not imported either.
    assert "half.pt" in refusal(home, files / "pose.pt", half, into="face")


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "x" * 65, "fäce", "a\\b", "a\n"])
def test_a_name_that_is_none(files: Path, home: Path, name: str) -> None:
    assert "cannot be called" in refusal(home, files / "generator.pt", name=name, kind=BadRequest)


def test_a_name_that_is_taken(files: Path, home: Path, face: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = files / "generator.pt"
    assert "remove it first" in refusal(home, generator, name="face", kind=BadRequest)
    (home / "folder").mkdir()
    assert "already" in refusal(home, generator, name="folder", kind=BadRequest)
    monkeypatch.setattr(checkpoints, "BUILT_IN", home)
    assert "choose another name" in refusal(home, generator, name="Face", kind=BadRequest)
    assert "built in" in refusal(home, generator, into="face", kind=BadRequest)


def test_no_such_bundle(files: Path, home: Path, face: Path) -> None:
    assert "your models are: face" in refusal(home, files / "age.pt", into="fcae")
    assert "your models are: face" in refusal(home, files / "age.pt", into="../checkpoints/face")


def test_where_to_is_said_once(files: Path, home: Path) -> None:
    refusal(home, files / "generator.pt", kind=BadRequest)
    refusal(home, files / "generator.pt", name="a", into="b", kind=BadRequest)
    refusal(home, name="a", kind=BadRequest)


# Checking and removing.


def test_verify_tells_a_good_bundle_from_a_bad_one(files: Path, face: Path) -> None:
    install([files / "e4e.pt"], into="face")
    checks = verify(face)
    assert any("encoder" in check for check in checks)
    assert any("slider" in check for check in checks)
    path = face / "directions.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadCheckpoint, match=r"directions\.safetensors is damaged"):
        verify(face)


def test_a_slider_that_does_not_move_the_code_is_found(face: Path) -> None:
    path = face / "model.json"
    data = json.loads(path.read_text())
    data["attributes"][0]["unit"] = 0.0
    path.write_text(json.dumps(data))
    with pytest.raises(BadCheckpoint, match="slider age"):
        verify(face)


def test_remove_deletes_a_users_bundle_and_no_other(home: Path, face: Path, monkeypatch) -> None:
    for name in ("face/..", "..", "", "other"):
        with nothing_changes(home), pytest.raises(BadCheckpoint, match="your models are: face"):
            remove(name)
    monkeypatch.setattr(checkpoints, "BUILT_IN", home)
    with nothing_changes(home), pytest.raises(BadRequest, match="built in"):
        remove("face")
    monkeypatch.undo()
    monkeypatch.setenv("VISAGIST_HOME", str(home.parent))
    assert remove("face") == face
    assert contents(user_folder()) == {}


def test_a_linked_bundle_is_unlinked_and_its_target_stays(home: Path, face: Path, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere"
    face.rename(real)
    face.symlink_to(real)
    remove("face")
    assert not face.is_symlink()
    assert (real / "model.json").is_file()
