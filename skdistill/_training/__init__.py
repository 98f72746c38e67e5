"""Train the student: the loss of a batch, and the hooks into skorch."""
