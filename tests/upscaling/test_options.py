"""Options of the wrong kind are one sentence, in Python as on the command line."""

import subprocess
import sys

MISTAKES = """
import histoscale
for mistake in (
    dict(), dict(scale=2, mpp=1.0), dict(scale="2"), dict(scale=10**400), dict(scale=1e308), dict(mpp=[1]),
    dict(magnification=float("nan")), dict(size_xy=20), dict(size_xy=(20,)), dict(size_xy=("20", "30")),
    dict(scale=2, source_mpp="0.5"), dict(scale=2, workers=0), dict(scale=2, workers=1.5),
    dict(scale=2, tile_px=1.5), dict(scale=2, max_memory_bytes="2GiB"), dict(scale=2, quality=0),
    dict(scale=2, tissue=""), dict(scale=2, region="0,0,8,8", roi="a.geojson"),
):
    try:
        histoscale.upscale_slide("nowhere.svs", "a.ome.tiff", **mistake)
    except histoscale.InputError as error:
        print("InputError", error)
    except histoscale.HistoscaleError as error:
        print(type(error).__name__, error)
"""


def test_wrong_options_are_one_sentence() -> None:
    """In a process of its own, because the tests' type checks would come first."""
    done = subprocess.run([sys.executable, "-c", MISTAKES], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    kinds = [line.split()[0] for line in lines]
    # 1e308 is a scale; that the file is missing comes first.
    assert kinds == ["ScaleError"] * 4 + ["InputError"] + ["ScaleError"] * 6 + ["ConfigError"] * 7, lines
    assert all(line.endswith(".") for line in lines)
