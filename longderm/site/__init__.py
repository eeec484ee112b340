"""A site's own series: its labels, what the change score is worth on them, and releases fitted to them.

Nothing here works on a photo by itself that a stage does not: rows of the store are read, and photos through the same
door as the stages (`longderm.stages.place`).
"""
