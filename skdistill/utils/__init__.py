"""What several parts of the package share: validation, data frames, hidden layers."""
