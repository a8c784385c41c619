import os

import httpx

api = httpx.Client(
    base_url="http://localhost:3000/api/v1",
    headers={"Authorization": f"Bearer {os.environ['MATRIX_API_KEY']}"},
)
wanted = {"limit": 2, "fields": "id,name,status"}
while True:
    page = api.get("/keys", params=wanted).raise_for_status().json()
    for key in page["data"]:
        print(key["name"], key["status"])
    if page["next_cursor"] is None:
        break
    wanted["cursor"] = page["next_cursor"]
