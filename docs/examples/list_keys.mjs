const wanted = new URLSearchParams({ limit: "2", fields: "id,name,status" });
let page;
do {
  const answer = await fetch(`http://localhost:3000/api/v1/keys?${wanted}`, {
    headers: { Authorization: `Bearer ${process.env.MATRIX_API_KEY}` },
  });
  page = await answer.json();
  if (!answer.ok) throw new Error(page.detail);
  for (const key of page.data) console.log(key.name, key.status);
  wanted.set("cursor", page.next_cursor);
} while (page.next_cursor !== null);
