"""One output tile: read, compute, store; a pure function of the job and the tile's number."""

from histoscale.workflows.upscale.slide_plan import TileJob, TileResult


def compute_tile(job: TileJob, index: int) -> TileResult:
    """Compute a tile into the store, and return when it lies there complete.

    Raises:
        HistoscaleError: if the source is damaged there, the disk is full, or memory is too small for any part.
    """
    raise NotImplementedError
