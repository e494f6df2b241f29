"""The photo booth: a page that paints visitors, `notebooks/photo_booth.ipynb`.

`worker` keeps the model loaded in one process for all visitors. `visit` has the steps of one visit,
`sheets` makes contact sheets and print sheets, `page` is the widget that the visitor sees, and
`server` opens the page with Voilà. Only the worker imports torch.
"""
