"""One name: its line of versions, its aliases, two versions side by side, how to call it."""
