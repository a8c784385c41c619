from matrix_app.up import garbage

garbage.look_rarely()  # before anything is imported: Python's own pace cost a fifth of an import, and of tests
