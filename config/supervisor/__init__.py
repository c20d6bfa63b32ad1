"""The starter behind `make run`: it prepares the platform, keeps its parts running, and stops them in order."""
