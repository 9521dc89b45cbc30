"""Looking after a folder: doctor, repair, garbage, backup."""
