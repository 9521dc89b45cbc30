"""The pages, one file each; each has `show`, which Streamlit calls."""
