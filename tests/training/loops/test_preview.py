"""Training of the preview heads on patches of a tiny random generator."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from core.generators.mobile.config import MobileConfig
from core.generators.mobile.network import MobileGenerator
from core.generators.mobile.preview import PreviewHead, preview_heads
from training.data import sampled
from training.loops import preview
from training.loops.preview import Patches, begin, load, measure, predict, step


@pytest.fixture
def folder(tiny_mobile: MobileGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sampled, "published", lambda: tiny_mobile)
    monkeypatch.setattr(preview, "published", lambda: tiny_mobile)
    monkeypatch.setattr(sampled, "PATCH", 4)
    sampled.main(["--out", str(tmp_path / "data"), "--shards", "2", "--faces", "12"])
    return tmp_path / "data"


def head_of(generator: MobileGenerator, size: int) -> PreviewHead:
    torch.manual_seed(0)
    config = MobileConfig(**{**vars(generator.config), "previews": (8, 16)})
    return preview_heads(config)[size]


def part(data: Patches, faces: int) -> Patches:
    return data.take(torch.arange(faces), torch.arange(faces) % data.features.shape[1])


@pytest.mark.parametrize("size", [8, 16])
def test_a_patch_is_predicted_as_the_whole_picture_is(
    tiny_mobile: MobileGenerator,
    folder: Path,
    size: int,
) -> None:
    made = head_of(tiny_mobile, size)
    nn.init.normal_(made.fixed)
    patches = part(load(folder, size)[0], 12)
    config = MobileConfig(**{**vars(tiny_mobile.config), "previews": (size,)})
    whole = MobileGenerator(config, {size: made})
    whole.load_state_dict(tiny_mobile.state_dict(), strict=False)
    pictures = whole.synthesis(patches.codes, size=size)
    assert (patches.corners == 0).any()  # else no patch saw the picture's edge
    for side, some in ((4, patches), (3, patches.part(3))):
        found = predict(made, some)
        for i, (top, left) in enumerate(some.corners.tolist()):
            wanted = pictures[i, :, top : top + side, left : left + side]
            torch.testing.assert_close(found[i], wanted, atol=5e-3, rtol=5e-3)


@pytest.mark.parametrize("size", [8, 16])
def test_it_begins_with_the_generators_styles_and_a_closed_form(
    tiny_mobile: MobileGenerator,
    folder: Path,
    size: int,
) -> None:
    made, data = head_of(tiny_mobile, size), load(folder, size)[0]
    before = measure(made, data)["mean"]
    begin(made, tiny_mobile, data)
    assert measure(made, data)["mean"] > before + 3
    block = tiny_mobile.blocks[1 if size == 8 else 2]
    assert torch.equal(made.bands.weight, block.up.weight)
    styled = data.features[:, 0].float() * made.style(data.codes)[:, :, None, None]
    torch.testing.assert_close(styled.square().mean(), torch.tensor(1.0))


def test_steps_bring_the_picture_nearer(tiny_mobile: MobileGenerator, folder: Path) -> None:
    made, data = head_of(tiny_mobile, 16), load(folder, 16)[0]
    optimizer, batch = torch.optim.Adam(made.parameters(), 1e-2), part(data, 12)
    first, *_, last = [step(made, optimizer, batch) for _ in range(20)]
    assert last < 0.5 * first


def test_psnr_is_of_a_faces_patches_together(tiny_mobile: MobileGenerator, folder: Path) -> None:
    made, data = head_of(tiny_mobile, 16), load(folder, 16)[1]
    expected = []
    for i in range(12):
        one = Patches(*(t[i : i + 1].expand(4, *t.shape[1:]) for t in data)).take(
            torch.arange(4), torch.arange(4)
        )
        mse = (predict(made, one) - one.targets).detach().square().mean()
        expected.append(float(10 * torch.log10(2**2 / mse)))
    found = measure(made, data)
    assert found["mean"] == pytest.approx(sum(expected) / 12, abs=1e-3)
    assert found["worst"] == pytest.approx(min(expected), abs=1e-3)
    assert found["opened"] == pytest.approx(sum(expected[3::4]) / 3, abs=1e-3)


def test_the_command_writes_heads_in_half_precision_and_goes_on_where_it_stopped(
    tiny_mobile: MobileGenerator,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1
        return now[0]

    monkeypatch.setattr(preview.time, "monotonic", clock)
    words = ["--data", str(folder), "--out", str(tmp_path / "heads.safetensors"), "--minutes"]
    preview.main([*words, str(2 / 60)])
    assert capsys.readouterr().out.count("steps 2") == 2
    weights = safetensors.torch.load_file(tmp_path / "heads.safetensors")
    assert {t.dtype for t in weights.values()} == {torch.float16}
    config = MobileConfig(**{**vars(tiny_mobile.config), "previews": (8, 16)})
    heads = nn.ModuleDict({str(size): made for size, made in preview_heads(config).items()})
    heads.load_state_dict(weights)
    preview.main([*words, str(4 / 60)])
    assert capsys.readouterr().out.count("steps 4") == 2


def test_too_few_shards_are_named(folder: Path) -> None:
    (folder / "001.safetensors").unlink()
    with pytest.raises(SystemExit, match="1 shards with patches at 16 px; two are needed"):
        load(folder, 16)
