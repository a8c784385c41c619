import os
import uuid

import httpx

api = httpx.Client(
    base_url="http://localhost:3000/api/v1",
    headers={"Authorization": f"Bearer {os.environ['MATRIX_API_KEY']}"},
)
# Sent again with the same Idempotency-Key, this makes no second key and answers the same.
answer = api.post(
    "/keys",
    json={"name": "laptop", "scopes": ["inference"], "requests_per_minute": 60},
    headers={"Idempotency-Key": str(uuid.uuid4())},
)
answer.raise_for_status()
print(answer.json()["prefix"])
