"""The contract language: terms, the ledger they post to, and the cost they answer to."""
