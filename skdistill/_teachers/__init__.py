"""What teachers say of rows: labels and hidden features."""
