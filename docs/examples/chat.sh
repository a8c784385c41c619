curl --fail-with-body -sS http://localhost:3000/v1/chat/completions \
  -H "Authorization: Bearer $MATRIX_API_KEY" \
  -H 'Content-Type: application/json' \
  -d '{"model": "smollm2-135m", "messages": [{"role": "user", "content": "Say hello"}], "max_tokens": 40}'
