"""What whoever starts the test providers and whoever connects them must agree on.

By itself, so that a supervisor that only starts them loads nothing of the services.
"""

FOLDER = "test-providers"  # in the data folder
NAMES = {"stripe": "Stripe (test)", "paypal": "PayPal (test)", "crypto": "Test chain"}
# What opens them, published: they listen on this machine only and hold nothing of worth.
KEYS = {"stripe": "sk_test_matrix", "paypal": "client:secret"}
