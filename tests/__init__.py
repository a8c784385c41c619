import gc

# As in the product (`matrix_app/cli.py`), and before anything is imported: Python's own 700 cost a fifth of an import,
# and of tests, which make little that goes in circles.
gc.set_threshold(20_000, 20, 50)
