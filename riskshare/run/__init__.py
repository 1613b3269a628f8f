"""Running the kernel: blocks over threads, and what goes in and out of it."""
