"""Recommendations: which items people look at together, learnt from sessions.

`models` holds the recommenders, pure functions of the sessions they are trained on. `evaluation` compares them on held
out last clicks by the code path that is served. `artefact` keeps a trained model as a versioned file, and
`serving` answers from memory. Sessions and popularity beat heavier models on real clicks of this size; docs/commerce.md
has the figures.
"""
