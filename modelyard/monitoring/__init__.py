"""How models fare once they answer: what they are asked is watched and counted, never kept."""
