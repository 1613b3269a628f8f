"""What riskshare costs to run, beside what else could be run; nothing here is installed."""
