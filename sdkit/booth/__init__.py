"""The photo booth: a page for visitors who become a painting, `notebooks/photo_booth.ipynb`.

`worker` keeps the model warm in one process for all visitors. `visit` is what happens during one
visit, `sheets` makes contact sheets and print sheets, `page` is the widget that the visitor sees,
and `server` opens the page with Voilà. Only the worker imports torch.
"""
