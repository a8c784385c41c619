// The gateway's streamed answer as calls: one per piece of text, then what it used.
import { ownHeaders, Problem } from "./request.js";

async function* linesOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop();
    yield* lines;
  }
  if (rest) yield rest;
}

async function problemOf(response) {
  const text = await response.text();
  try {
    return new Problem(response.status, JSON.parse(text), text);
  } catch {
    return new Problem(response.status, null, `${response.status} ${response.statusText}`);
  }
}

/**
 * Streams a chat completion. `onText` gets each piece; resolves to {usage, requestId, finish, complete}.
 * Rejects with Problem, or AbortError when `signal` fires.
 */
export async function streamCompletion(url, { request, organization, signal, unreachable, onText }) {
  const headers = ownHeaders({ "Content-Type": "application/json" });
  if (organization) headers["X-Matrix-Organization"] = organization;
  const body = JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } });
  let response;
  try {
    response = await fetch(url, { method: "POST", credentials: "same-origin", headers, body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, null, unreachable);
  }
  if (!response.ok) throw await problemOf(response);

  const result = { usage: null, requestId: response.headers.get("x-request-id") ?? "", finish: "", complete: false };
  for await (const line of linesOf(response.body)) {
    if (!line.startsWith("data:")) continue;
    const data = line.slice(5).trim();
    if (data === "[DONE]") {
      result.complete = true;
      break;
    }
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Problem(response.status, chunk, "");
    const choice = chunk.choices?.[0];
    if (choice?.delta?.content) onText(choice.delta.content);
    if (choice?.finish_reason) result.finish = choice.finish_reason;
    if (chunk.usage) result.usage = chunk.usage;
  }
  return result;
}
