"""The rows that a student learns from, and what the teacher says of them."""
