"""Deployment: the student leaves the building, small, fast, and without torch."""
