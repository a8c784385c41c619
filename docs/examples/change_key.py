import os

import httpx

api = httpx.Client(
    base_url="http://localhost:3000/api/v1",
    headers={"Authorization": f"Bearer {os.environ['MATRIX_API_KEY']}"},
)
newest = api.get("/keys", params={"limit": 1, "fields": "id"}).raise_for_status().json()["data"][0]
key = api.get(f"/keys/{newest['id']}").raise_for_status()
answer = api.patch(f"/keys/{newest['id']}", json={"name": "desk"}, headers={"If-Match": key.headers["ETag"]})
if answer.status_code == 412:
    print("Somebody changed it meanwhile to", answer.json()["details"]["current"]["name"])
print(answer.raise_for_status().json()["name"])
