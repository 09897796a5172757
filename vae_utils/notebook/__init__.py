"""The tools of the notebooks: figures, sliders, numbers for the sentences, and the playground.

The rest of the package trains and measures without them.
"""
