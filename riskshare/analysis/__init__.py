"""What a contract does when it is looked at whole: the contract check."""
