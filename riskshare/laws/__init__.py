"""Laws: how indices and chance are distributed, each a monotone map of a standard normal score.

`indices` maps a driver's score, `chance` a line's own; `dependence` correlates scores across
drivers and years; `moments` gives the exact means that best estimates are built from. All of it
is NumPy in float64 on the host: the kernel in `riskshare.program` reads only its numbers.
Whatever cannot be used raises `ValueError`; the caller knows the path to put before it.
"""
