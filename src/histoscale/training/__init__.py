"""The parts of a training run: its schedule, its state on disk, its validation, its curves."""
