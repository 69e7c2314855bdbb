"""What can go wrong in a person's hands: one base class, a few children, one sentence each."""


class HistoscaleError(Exception):
    """Base of every error this package raises on purpose; its text is one sentence for the person."""


class InputError(HistoscaleError):
    """A file or array that cannot be read, or is of a kind that is not handled."""


class OutputError(HistoscaleError):
    """A file that cannot be written: exists already, unknown suffix, no space, no permission."""


class ScaleError(HistoscaleError):
    """A scale, size or resolution that is impossible or that this model cannot make."""


class WeightsError(HistoscaleError):
    """Weights that are missing, damaged, of another architecture, or not finite."""


class TrainingError(HistoscaleError):
    """A training that cannot continue: its loss or a weight is not a number."""


class ConfigError(HistoscaleError):
    """A run file with an unknown key, a wrong value or a missing table."""


class DataError(HistoscaleError):
    """A data folder or manifest that is missing, empty or inconsistent."""
