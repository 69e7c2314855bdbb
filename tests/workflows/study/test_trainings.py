"""Trainings of a study run in processes of their own, are kept once finished and go on where they were stopped."""

from pathlib import Path

import pytest

from histoscale import weights
from histoscale.errors import HistoscaleError, OutputError
from histoscale.workflows.study.carry_out import study
from histoscale.workflows.study.members import members, read_study
from histoscale.workflows.study.trainings import Trainings


def test_a_study_trains_all_once(study_file: Path, tmp_path: Path) -> None:
    ended: list[tuple[str, int]] = []
    folder = tmp_path / "out"
    found = study(
        study_file, folder, only=["liif"], workers=2, report=lambda name, left: ended.append((name, left))
    )
    assert sorted(name for name, _ in ended) == ["liif-seed1", "liif-seed2"]
    assert [left for _, left in ended] == [1, 0]
    for member, path in found:
        card = weights.card(path)
        assert (card.name, card.budget["steps"]) == (member.run.name, 2)
        assert "Two steps teach nothing." in card.limits
    before = [path.read_bytes() for _, path in found]
    ended.clear()
    again = study(study_file, folder, only=["liif"])
    assert not ended
    assert [path.read_bytes() for _, path in again] == before
    with pytest.raises(OutputError, match="liif-seed1 was trained by another recipe or budget"):
        study(study_file, folder, only=["liif"], steps=3)


def test_an_unfinished_training_goes_on(study_file: Path, tmp_path: Path) -> None:
    (liif,) = members(read_study(study_file).only(("liif",)).model_copy(update={"seeds": (1,)}))
    trainings = Trainings(tmp_path / "out")
    trainings.carry_out([liif])
    card = trainings.weights(liif.run).with_suffix(".json")
    card.write_text(card.read_text().replace('"steps": 2, "seconds"', '"steps": 1, "seconds"'))
    card.write_text(card.read_text().replace('"steps": 2,\n    "seconds"', '"steps": 1,\n    "seconds"'))
    assert weights.card(trainings.weights(liif.run)).budget["steps"] == 1
    assert not trainings.finished(liif.run)
    trainings.carry_out([liif])
    assert trainings.finished(liif.run)


def test_one_failure_does_not_stop_the_others(study_file: Path, tmp_path: Path) -> None:
    wrong = (
        study_file.read_text()
        .replace("blocks = 1, channels = 4 }", "depth = 1 }")
        .replace("[1, 2]", "[1]", 1)
    )
    study_file.write_text(wrong.replace("scales = [2, 3]", "scales = [2]"))
    folder = tmp_path / "out"
    with pytest.raises(HistoscaleError, match=r"1 of the study's trainings failed.*edsr-x2-seed1\.log"):
        study(study_file, folder)
    assert (folder / "liif-seed1" / "liif-seed1.safetensors").exists()
    assert "has no argument 'depth'" in (folder / "edsr-x2-seed1.log").read_text()
