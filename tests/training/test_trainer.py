"""Training runs for real on tiny images: it learns, it resumes bit for bit, it stops when told."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from histoscale.config import read_run
from histoscale.data.pairs import Pair
from histoscale.errors import ConfigError, DataError, OutputError, TrainingError, WeightsError
from histoscale.files import lock
from histoscale.training.checkpoint import find_not_finite, read_state
from histoscale.training.curves import read_metrics
from histoscale.training.losses import Objective
from histoscale.training.schedule import Progress
from histoscale.training.trainer import Report, train

RUN = """
name = "tiny"
[model]
name = "{model}"
arguments = {arguments}
[data]
root = "{root}"
{data}
[training]
steps = {steps}
batch = 2
rate = 2e-3
average = 0.9
clip = 1.0
log_every = 1
checkpoint_minutes = 1e-9
[validation]
scales = [2]
crop_px = 24
images_per_set = 1
minutes = 60
"""
FAST = ("iste-fast", "{blocks = 1, channels = 8, hidden = 8, waves = 5}")
ISTE = ("iste", "{blocks = 1, channels = 8}")
PLUS = ("iste-plus", "{blocks = 1, channels = 8, waves = 3, width = 8, hidden = 8}")
SWINIR = ("swinir", "{scale = 2, blocks = 1, channels = 4, embedding = 12}")  # drops layers at random
SWDNET = ("swdnet", "{scale = 2, channels = 4, blocks = 1, width = 4}")
LI2021 = ("li2021", "{scale = 3, width = 4}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two images with structure, in both splits."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = ["set,split,id,file"]
    for number, split in enumerate(("train", "train", "val")):
        rng = np.random.default_rng(number)
        coarse = Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8))
        coarse.resize((96, 96), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
        rows.append(f"soft,{split},{number},{number}.png")
    (folder / "manifest.csv").write_text("\n".join(rows))
    return folder


def write_run(folder: Path, root: Path, steps: int, model: tuple[str, str] = FAST, data: str = "") -> Path:
    path = folder / "run.toml"
    data = data or "scales = [2]\npatch_px = 24"
    path.write_text(RUN.format(model=model[0], arguments=model[1], root=root, steps=steps, data=data))
    return path


def interrupt_at(step: int) -> Report:
    """Ctrl-C after a step."""

    def interrupt(progress: Progress, _: float) -> None:
        if progress.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return interrupt


def test_a_run_learns_and_writes_all_its_files(tmp_path: Path, root: Path) -> None:
    weights, _ = train(
        write_run(tmp_path, root, 30), tmp_path / "out", overrides=["training.checkpoint_minutes=9"]
    )
    lines = read_metrics(tmp_path / "out" / "metrics.jsonl")
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 30
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    scores = [line for line in lines if "psnr" in line]
    assert set(scores[0]["psnr"]) == {"soft x2"}
    for name in ("state.pt", "curves.png", "run.toml", "origin.json"):
        assert (tmp_path / "out" / name).stat().st_size > 100
    assert weights.is_file()
    origin = json.loads((tmp_path / "out" / "origin.json").read_text())
    assert set(origin["images"]) == {"soft/0", "soft/1"}
    assert origin["run"]["seed"] == 1


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (FAST, ""),
        (FAST, "on_device = true\nscales = [2, 2.5]\npatch_px = 24"),
        (ISTE, 'queries = 64\npatch_px = 16\nscale_per = "sample"\nscale_range = [1, 4]'),
        (SWINIR, ""),
        (SWDNET, 'scales = [2]\npatch_px = 8\n[loss]\nkind = "wavelets"'),
        (PLUS, 'patch_px = 16\n[loss]\nkind = "residual"\npoints = 20'),
        (LI2021, 'scales = [3]\npatch_px = 8\n[loss]\nkind = "adversarial"\ncurriculum = true'),
    ],
    ids=[
        "dense",
        "on the device",
        "sampled",
        "dropping at random",
        "in two stages",
        "first its base",
        "against an adversary",
    ],
)
def test_a_resumed_run_ends_in_the_same_bits(
    tmp_path: Path, root: Path, model: tuple[str, str], data: str
) -> None:
    run = write_run(tmp_path, root, 4, model, data)
    if model is LI2021:
        run.write_text(run.read_text().replace("[validation]\nscales = [2]", "[validation]\nscales = [3]"))
    train(run, tmp_path / "whole", overrides=["training.checkpoint_minutes=9"])

    def stop_at_two(progress: Progress, _: float) -> None:
        if progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(run, tmp_path / "parts", report=stop_at_two)
    assert read_state(tmp_path / "parts" / "state.pt")["step"] == 2
    train(run, tmp_path / "parts", resume=True)
    whole, parts = (read_state(tmp_path / name / "state.pt") for name in ("whole", "parts"))
    for part in {"model", "average", "adversary"} & whole.keys():
        for name, tensor in whole[part].items():
            assert torch.equal(tensor, parts[part][name]), name
    assert ("adversary" in whole) == (model is LI2021)


def test_an_adversary_learns_at_its_own_rate(tmp_path: Path, root: Path) -> None:
    data = 'scales = [2]\npatch_px = 8\n[loss]\nkind = "adversarial"\nadversary_rate = 1e-3'
    train(write_run(tmp_path, root, 1, ("li2021", "{scale = 2, width = 4}"), data), tmp_path / "out")
    state = read_state(tmp_path / "out" / "state.pt")
    assert [group["lr"] for group in state["optimiser"]["param_groups"]] == [2e-3, 1e-3]
    assert len(state["optimiser"]["state"]) == len(state["model"]) + len(state["adversary"])


def test_adam_takes_its_settings_from_the_run_file(tmp_path: Path, root: Path) -> None:
    path = write_run(tmp_path, root, 1)
    path.write_text(path.read_text().replace("batch = 2", "batch = 2\nepsilon = 1e-6\nweight_decay = 1e-5"))
    train(path, tmp_path / "out")
    (group,) = read_state(tmp_path / "out" / "state.pt")["optimiser"]["param_groups"]
    assert (group["eps"], group["weight_decay"]) == (1e-6, 1e-5)


@pytest.mark.parametrize("model", [("edsr", "{blocks = 1, channels = 4, scale = 2}"), SWINIR, SWDNET])
def test_fixed_scale_models_train_with_the_common_recipe(
    tmp_path: Path, root: Path, model: tuple[str, str]
) -> None:
    assert train(write_run(tmp_path, root, 1, model), tmp_path / "out").weights.is_file()
    sampled = write_run(tmp_path, root, 1, model, "scales = [2]\npatch_px = 24\nqueries = 16")
    with pytest.raises(ConfigError, match=r"data\.queries is 16, .* needs 0"):
        train(sampled, tmp_path / "sampled")


def test_an_interrupt_saves_and_exports(tmp_path: Path, root: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(write_run(tmp_path, root, 1000), tmp_path / "out", report=interrupt_at(2))
    assert (tmp_path / "out" / "tiny.safetensors").is_file()
    assert read_state(tmp_path / "out" / "state.pt")["step"] in (2, 3)
    assert signal.getsignal(signal.SIGINT) is before


def test_metrics_of_a_resumed_run_hold_every_step_once(tmp_path: Path, root: Path) -> None:
    run, metrics = write_run(tmp_path, root, 4), tmp_path / "out" / "metrics.jsonl"
    with pytest.raises(KeyboardInterrupt):
        train(run, tmp_path / "out", report=interrupt_at(2))
    with metrics.open("a") as stream:
        stream.write('{"step": 9, "loss": 1.0}\n')
    train(run, tmp_path / "out", resume=True)
    assert [line["step"] for line in read_metrics(metrics) if "loss" in line] == [1, 2, 3, 4]


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path, root: Path) -> None:
    run = write_run(tmp_path, root, 2)
    assert not train(run, tmp_path / "out").was_finished
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "out").iterdir()}
    shutil.rmtree(root)
    assert train(run, tmp_path / "out", resume=True).was_finished
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "out").iterdir()}
    assert after == before


def test_a_loss_that_is_not_a_number_keeps_the_last_good_state(tmp_path: Path, root: Path) -> None:
    run, folder = write_run(tmp_path, root, 50), tmp_path / "out"
    overrides = ["training.rate=1e9", "training.clip=0", "training.checkpoint_minutes=1e-9"]
    with pytest.raises(TrainingError, match=r"step \d+ .* state, of step \d+: lower training\.rate"):
        train(run, folder, overrides=overrides)
    state = read_state(folder / "state.pt")
    assert state["step"] < 49
    assert find_not_finite(state) is None
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_an_image_smaller_than_the_patches_is_named(tmp_path: Path, root: Path) -> None:
    Image.new("RGB", (40, 40)).save(root / "1.png")
    with pytest.raises(DataError, match=r"1\.png is 40 x 40 .* 48 pixels"):
        train(write_run(tmp_path, root, 1), tmp_path / "out")


def test_a_state_of_something_else_is_one_sentence(tmp_path: Path, root: Path) -> None:
    run, path = write_run(tmp_path, root, 4), tmp_path / "out" / "state.pt"
    train(write_run(tmp_path, root, 4), tmp_path / "out")
    state = read_state(path)
    for other in ({"step": 1}, {"step": 1, "run": state["run"]}, state | {"step": 1, "model": {}}):
        torch.save(other, path)
        with pytest.raises(WeightsError, match=r"state\.pt is not the state"):
            train(run, tmp_path / "out", resume=True)


def test_a_wall_clock_budget_stops_the_run(tmp_path: Path, root: Path) -> None:
    path = write_run(tmp_path, root, 5)
    path.write_text(path.read_text().replace("steps = 5", "minutes = 0.02"))
    train(path, tmp_path / "out")
    assert read_state(tmp_path / "out" / "state.pt")["spent_s"] >= 1.2


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path: Path, root: Path) -> None:
    run = write_run(tmp_path, root, 1)
    train(run, tmp_path / "out")
    with pytest.raises(OutputError, match="--resume"):
        train(run, tmp_path / "out")
    with pytest.raises(OutputError, match="no run to resume in"):
        train(run, tmp_path / "empty", resume=True)
    assert not (tmp_path / "empty").exists()
    with pytest.raises(OutputError, match="cannot be written"):
        train(run, Path("/proc/nothing"))
    with pytest.raises(ConfigError, match=r"run file .* differ"):
        train(write_run(tmp_path, root, 2), tmp_path / "out", resume=True)


def test_a_folder_in_use_is_refused(tmp_path: Path, root: Path) -> None:
    with lock(tmp_path / "out"):
        with pytest.raises(OutputError, match=r"Another run .*out"):
            train(write_run(tmp_path, root, 1), tmp_path / "out")
        assert not (tmp_path / "out" / "run.toml").exists()


def test_the_precision_may_change_with_the_processor(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one Python process as well; every run computes in the precision that it was given."""
    used: list[bool] = []
    forward = Objective.forward

    def noted(self: Objective, pair: Pair, share: float) -> torch.Tensor:
        used.append(torch.is_autocast_enabled("cpu"))
        return forward(self, pair, share)

    monkeypatch.setattr(Objective, "forward", noted)
    run, folder = write_run(tmp_path, root, 3), tmp_path / "out"
    for resumed, precision in enumerate(("fp32", "bf16")):
        with pytest.raises(KeyboardInterrupt):
            train(
                run,
                folder,
                overrides=[f"training.precision={precision}"],
                resume=bool(resumed),
                report=interrupt_at(resumed + 1),
            )
    train(run, folder, overrides=["training.precision=fp32"], resume=True)
    assert read_state(folder / "state.pt")["step"] == 3
    assert used == [False, True, False]


def test_what_was_overridden_is_recorded(tmp_path: Path, root: Path) -> None:
    run = write_run(tmp_path, root, 1)
    written, _ = train(run, tmp_path / "out", overrides=["model.channels=12", "name=other"])
    card = json.loads(written.with_suffix(".json").read_text())
    assert written.name == "other.safetensors"
    assert card["architecture"]["arguments"]["channels"] == 12
    assert read_run(tmp_path / "out" / "run.toml").model.arguments["channels"] == 12


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path: Path, root: Path) -> None:
    """torchrun with two processes and half the batch each ends at the weights of one process."""
    path = write_run(tmp_path, root, 3)
    path.write_text(path.read_text().replace("batch = 2", 'batch = 2\nprecision = "fp32"'))
    code = "from pathlib import Path; from histoscale.training.trainer import train; import sys; "
    script = tmp_path / "go.py"
    script.write_text(code + "train(Path(sys.argv[1]), Path(sys.argv[2]))")
    one = tmp_path / "one.toml"
    one.write_text(path.read_text().replace("batch = 2", "batch = 4"))
    train(one, tmp_path / "one")
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        str(script),
    ]
    subprocess.run(
        [*launch, str(path), str(tmp_path / "two")], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    alone, shared = (read_state(tmp_path / name / "state.pt")["model"] for name in ("one", "two"))
    for name, tensor in alone.items():
        torch.testing.assert_close(shared[name], tensor, atol=1e-5, rtol=1e-4)
