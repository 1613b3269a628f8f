"""Two small problems that riskshare's peers can compute too: `corridor` and `claims`.

`python -m benchmarks.peers` checks every engine that is installed against an exact answer, and
then times those that pass, in turns.
"""
