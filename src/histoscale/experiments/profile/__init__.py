"""``histoscale profile``: parameters, memory and time of arbitrary-scale models, the paper's Table 8."""
