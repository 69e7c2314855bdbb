"""Compare the shipped weights with those of runs/iste-fast-pilot.toml, image by image.

    histoscale train runs/iste-fast-pilot.toml
    histoscale evaluate -m out/iste-fast-pilot/iste-fast-pilot.safetensors --scale 1.5 --scale 2 --scale 3 \\
        --scale 4 --scale 8 -o out/pilot
    python benchmarks/pilot.py out/pilot

Reads the scores of the shipped weights from docs/results/test and writes benchmarks/results/pilot.md.
"""

import argparse
from datetime import date
from pathlib import Path

from histoscale.experiments.evaluate import summarise
from histoscale.experiments.scoring import read_scores
from histoscale.experiments.statistics import Grid
from histoscale.files import write_text

ROOT = Path(__file__).resolve().parents[1]
OURS, PILOT = "iste-fast", "iste-fast-pilot"


def main() -> None:
    """Pair the scores, test and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the pilot's evaluation")
    folder = parser.parse_args().folder
    pilot = [score for score in read_scores(folder / "scores.csv") if score.model == PILOT]
    cases = {(score.dataset, score.degradation, score.scale) for score in pilot}
    shipped = read_scores(ROOT / "docs" / "results" / "test" / "scores.csv")
    scores = [s for s in shipped if (s.dataset, s.degradation, s.scale) in cases] + pilot
    gains = {(row.group, row.degradation, row.scale, row.model): row for row in summarise(scores)}
    lines = [
        "# The shipped weights and the pilot",
        "",
        f"{date.today()}. `{PILOT}`: the same model, trained for 25 minutes on one core with blur (B) only.",
        "All `test` images, whole, in 8 bit; gain over bicubic in dB, paired difference, 95 % interval.",
        "",
        f"| images | degradation | scale | {PILOT} | {OURS} | difference | 95 % interval | p |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for dataset, degradation, scale in sorted(cases):
        same = [s for s in scores if (s.dataset, s.degradation, s.scale) == (dataset, degradation, scale)]
        grid = Grid.of((s.model, "psnr", 0, s.image, s.psnr_whole) for s in same)
        test = grid.test(OURS, PILOT, "psnr")
        if test is None:
            continue
        gain = [gains[dataset, degradation, scale, model].gain_whole for model in (PILOT, OURS)]
        row = f"| {dataset} | {degradation} | x{scale:g} | {gain[0]:+.2f} | {gain[1]:+.2f} |"
        lines.append(f"{row} {test.difference:+.3f} | {test.low:+.3f} to {test.high:+.3f} | {test.p:.1g} |")
    text = "\n".join(lines) + "\n"
    write_text(ROOT / "benchmarks" / "results" / "pilot.md", text)
    print(text)


if __name__ == "__main__":
    main()
