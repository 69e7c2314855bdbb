"""``histoscale profile``: parameters, memory and time of models of any scale, the paper's Table 8."""
