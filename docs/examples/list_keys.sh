curl --fail-with-body -sS -G http://localhost:3000/api/v1/keys \
  -H "Authorization: Bearer $MATRIX_API_KEY" \
  -d limit=2 -d fields=id,name,status
