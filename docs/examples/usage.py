import os
from decimal import Decimal

import httpx

answer = httpx.get(
    "http://localhost:3000/api/v1/usage/totals",
    params={"meter": "requests", "group_by": "model"},
    headers={"Authorization": f"Bearer {os.environ['MATRIX_API_KEY']}"},
)
answer.raise_for_status()
for total in answer.json()["data"]:
    print(total["group"] or "none", total["events"], Decimal(total["cost"] or 0))
