"""The peers' applications. They run in the peers' own environments and import nothing of Modelyard."""
