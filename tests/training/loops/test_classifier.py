from pathlib import Path

import torch

from core.checkpoints import Bundle, load_bundle
from training.loops import classifier


def test_a_new_classifier_keeps_all_that_it_did_not_teach(
    taking_bundle_dir: Path,
    taking_bundle: Bundle,
    data: Path,
    tmp_path: Path,
) -> None:
    table = data / "faces.csv"
    head, *rows = table.read_text().replace("pitch", "glasses").splitlines()
    rows[::2] = [row.replace(",test,", ",train,") for row in rows[::2]]
    table.write_text("\n".join([head, *rows]) + "\n")
    arguments = ["--bundle", str(taking_bundle_dir), "--data", str(data), "--out", str(tmp_path / "made")]
    classifier.main([*arguments, "--epochs", "1", "--device", "cpu"])
    made = load_bundle(tmp_path / "made")
    assert set(made.refiners) == set(taking_bundle.refiners)
    assert torch.equal(made.gallery, taking_bundle.gallery)
    assert made.reference_editors == {}
    assert made.config.reference_editor is None
