const answer = await fetch("http://localhost:3000/v1/chat/completions", {
  method: "POST",
  headers: {
    Authorization: `Bearer ${process.env.MATRIX_API_KEY}`,
    "Content-Type": "application/json",
  },
  body: JSON.stringify({
    model: "smollm2-135m",
    messages: [{ role: "user", content: "Say hello" }],
    max_tokens: 40,
  }),
});
if (!answer.ok) throw new Error((await answer.json()).error.message);
console.log((await answer.json()).choices[0].message.content);
