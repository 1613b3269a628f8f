"""One capitated contract computed by every engine: `problem` is the model, `compare` the run."""
