"""The script that Streamlit runs, in a folder of its own: Streamlit puts the script's folder on `sys.path`."""
