const keys = "http://localhost:3000/api/v1/keys";
const headers = { Authorization: `Bearer ${process.env.MATRIX_API_KEY}` };
const { data } = await (await fetch(`${keys}?limit=1&fields=id`, { headers })).json();
const key = await fetch(`${keys}/${data[0].id}`, { headers });
const answer = await fetch(`${keys}/${data[0].id}`, {
  method: "PATCH",
  headers: { ...headers, "Content-Type": "application/json", "If-Match": key.headers.get("ETag") },
  body: JSON.stringify({ name: "desk" }),
});
const said = await answer.json();
if (answer.status === 412) console.log("Somebody changed it meanwhile to", said.details.current.name);
if (!answer.ok) throw new Error(said.detail);
console.log(said.name);
