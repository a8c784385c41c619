curl --fail-with-body -sS -G http://localhost:3000/api/v1/usage/totals \
  -H "Authorization: Bearer $MATRIX_API_KEY" \
  -d meter=requests -d group_by=model
