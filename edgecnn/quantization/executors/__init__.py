"""Running a model file with its library in this process, one module a session of the runner, named as that session is.

The answers become the golden logits, which the runner must reproduce: therefore this code is not the runner's. Each module has
``run(folder, model, feed)``: float32 logits (N, classes) of the model file described by ``model`` in ``folder``.
"""
