"""Evaluations and the experiments of the paper, on one foundation; a file or folder for each verb."""
