// Sent again with the same Idempotency-Key, this makes no second key and answers the same.
const answer = await fetch("http://localhost:3000/api/v1/keys", {
  method: "POST",
  headers: {
    Authorization: `Bearer ${process.env.MATRIX_API_KEY}`,
    "Content-Type": "application/json",
    "Idempotency-Key": crypto.randomUUID(),
  },
  body: JSON.stringify({ name: "laptop", scopes: ["inference"], requests_per_minute: 60 }),
});
if (!answer.ok) throw new Error((await answer.json()).detail);
console.log((await answer.json()).prefix);
