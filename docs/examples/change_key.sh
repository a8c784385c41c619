keys=http://localhost:3000/api/v1/keys
id=$(curl --fail-with-body -sS -H "Authorization: Bearer $MATRIX_API_KEY" "$keys?limit=1&fields=id" | grep -o 'apikey_[a-z0-9]*')
tag=$(curl --fail-with-body -sS -H "Authorization: Bearer $MATRIX_API_KEY" -o /dev/null -D - "$keys/$id" | tr -d '\r' | sed -n 's/^etag: //Ip')
curl --fail-with-body -sS -X PATCH "$keys/$id" \
  -H "Authorization: Bearer $MATRIX_API_KEY" \
  -H 'Content-Type: application/json' \
  -H "If-Match: $tag" \
  -d '{"name": "desk"}'
