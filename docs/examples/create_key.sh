curl --fail-with-body -sS http://localhost:3000/api/v1/keys \
  -H "Authorization: Bearer $MATRIX_API_KEY" \
  -H 'Content-Type: application/json' \
  -H "Idempotency-Key: $(date +%s)-laptop" \
  -d '{"name": "laptop", "scopes": ["inference"], "requests_per_minute": 60}'
