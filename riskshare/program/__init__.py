"""The compiled program: pure JAX from random bits to settled positions.

`streams` makes scores, `chance` turns them into a line's own variation. Functions here are pure,
take the sample axis last, follow the precision of their arguments, and may be traced,
differentiated and mapped.
"""
