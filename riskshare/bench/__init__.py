"""What a machine does with riskshare: the reference problem, timed on each device there is."""
