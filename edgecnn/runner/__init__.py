"""What measures, here and on a board: it travels inside each kit, where its name is ``runner``.

Python 3.8, the standard library, NumPy, Pillow and one runtime; relative imports only, and nothing of edgecnn, so that a kit
needs no more than its own folder.
"""
