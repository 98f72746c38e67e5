"""What is learned: how y is checked, what a teacher is asked, what its answer means."""
