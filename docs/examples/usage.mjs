const wanted = new URLSearchParams({ meter: "requests", group_by: "model" });
const answer = await fetch(`http://localhost:3000/api/v1/usage/totals?${wanted}`, {
  headers: { Authorization: `Bearer ${process.env.MATRIX_API_KEY}` },
});
const said = await answer.json();
if (!answer.ok) throw new Error(said.detail);
for (const total of said.data) console.log(total.group || "none", total.events, total.cost);
